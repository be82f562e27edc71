"""Edits any English caption by lexicon: `motacli.triplets.editing.editor.CaptionEditor`."""
