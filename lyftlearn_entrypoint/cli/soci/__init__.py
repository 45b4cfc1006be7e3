"""SOCI: the index by which a node runs an image before it has pulled it. Each module is one step from a layer to what a registry keeps."""
