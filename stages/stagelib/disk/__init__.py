"""Make disk images in plain files, without loop devices and privileges."""
