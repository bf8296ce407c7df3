"""The waist of the hourglass: the one language every dialect is translated to and from."""
