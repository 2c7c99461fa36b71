"""Makes what the tests hold our encoders to: tiny models of every architecture, and what the
libraries they come from answer with them."""
