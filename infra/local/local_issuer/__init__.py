"""An issuer of tokens for development: OpenID Connect on loopback, with users that anybody can be."""
