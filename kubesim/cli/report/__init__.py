"""What a run has shown, as text for people and as a document for machines."""
