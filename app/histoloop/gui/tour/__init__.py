"""The scripted tour: drives the real window through the loop and keeps a picture of each step."""
