"""What trees and bytes say: pure functions."""
