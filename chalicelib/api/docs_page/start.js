// A file of its own, so that the page can do without inline scripts.
SwaggerUIBundle({
  url: "../openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  displayRequestDuration: true,
  validatorUrl: null, // else a stranger's server would be asked about the document
});
