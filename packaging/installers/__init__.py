"""Makes installers of the frozen program: a .deb and a tar.gz, and what the Windows and macOS builds need."""
