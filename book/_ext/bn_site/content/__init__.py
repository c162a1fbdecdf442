"""What changes documents before they are pages: what is executed, typeset, drawn, asked and listed."""
