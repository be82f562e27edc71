"""One module for each type of modification: ``edits(caption, words, rng)`` lists edits that would be safe."""
