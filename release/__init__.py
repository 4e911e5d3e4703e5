"""What a release needs beside its code: a bill of materials and an audit of what it depends on."""
