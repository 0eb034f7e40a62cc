"""Runs pipelines: reads a manifest, and produces events, trees and images. It does not depend on blueprints."""
