"""What trains a network: skorch's classifier, the step, and what a fit needs around it."""
