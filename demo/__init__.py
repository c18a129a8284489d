"""The worked example: epic E5.1 "AI-Enhanced Search", as it grows from signed webhooks and measures of CI."""
