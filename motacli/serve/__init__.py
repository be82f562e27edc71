"""`mota serve`: an index on a local web page and behind a JSON API, safe against whatever is sent to it."""
