"""Files that a manifest names by digest: where they come from, and having them at hand before a stage reads them."""
