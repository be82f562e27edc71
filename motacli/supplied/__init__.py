"""What somebody else's model made, scored without images or weights: features, rankings, descriptions of targets."""
