"""The library that stages and assemblers share. Standard library only: it runs under the build root's Python."""
