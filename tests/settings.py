"""Settings that parse, for what does not care what they say."""

from chalicelib.config import Settings

ENVIRONMENT = {
    name.upper(): f"https://{name}.example/x"
    for name, field in Settings.model_fields.items()
    if field.is_required() or name in {"provider_url", "issuer_url", "scrape_secret_name"}
}
