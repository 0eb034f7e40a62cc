"""The pipeline document: its model, its JSON forms and the identity of its parts."""
