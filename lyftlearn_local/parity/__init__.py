"""What a program sees in each place of one image, held against the pod: snapshots taken in containers, compared, shown as a page."""
