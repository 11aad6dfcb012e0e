"""The command line: which method for a folder of images, a model, and its predictions."""
