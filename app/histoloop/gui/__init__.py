"""The window: widgets emit intent, workflows act, the store holds the truth."""
