"""Runs pipelines: manifest in; events, trees and images out. Knows nothing of blueprints."""
