"""The door: every spelling of images and labels becomes one internal form."""
