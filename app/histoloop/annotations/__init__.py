"""What people say of regions: classes, masks, labels."""
