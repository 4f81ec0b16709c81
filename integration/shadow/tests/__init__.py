"""Tests: `make check-shadow`. They need neither Shadow nor tor."""
