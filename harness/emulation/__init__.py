"""The Mininet engine: real namespaces, links, packets and processes. The only package that imports mininet."""
