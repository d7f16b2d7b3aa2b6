"""Makes a release: version, changelog, packages, chart, SBOM and checksums. For maintainers: docs/release.md."""
