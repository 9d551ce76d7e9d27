"""getimg.ai's protocol: version 2 with one path and pictures to be downloaded, version 1 with many and pictures in base64."""
