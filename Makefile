# Nothing but Python >= 3.11 and make is needed; all else goes into .venv. `make help` lists the targets.

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
INSTALLED := $(VENV)/.installed

.DEFAULT_GOAL := help

.PHONY: help
help: ## Lists the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | sort | awk -F'|' '{ printf "  make %-12s %s\n", $$1, $$2 }'

$(INSTALLED): requirements.txt requirements-host.txt requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Vestnik needs Python 3.11 or later; $(PYTHON) is $$($(PYTHON) --version 2>/dev/null || echo missing)." \
			"Name another: make PYTHON=python3.12 ..." >&2; exit 1; }
	@test -x $(RUN) || $(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check --requirement requirements-dev.txt
	@touch $@

.PHONY: up
up: $(INSTALLED) ## Starts the embedded stack in the background, or updates it; honours PORT, PROVIDER_URL and all settings; HOST=1: no Lambdas, infra/host does their work
	@$(RUN) infra/local/stack.py up

.PHONY: down
down: $(INSTALLED) ## Stops the embedded stack whole
	@$(RUN) infra/local/stack.py down

.PHONY: run
run: up ## The main job: brings the stack up, loads sample clients, sends a mailing, shows what became of it
	@$(RUN) infra/local/main_job.py

.PHONY: logs
logs: $(INSTALLED) ## What happened to one id, over all functions: MAILING=, MESSAGE=, CLIENT= or REQUEST=; also SINCE=2h, STAGE=dev on AWS
	@$(RUN) infra/local/journal.py $(if $(MAILING),--mailing '$(MAILING)') $(if $(MESSAGE),--message '$(MESSAGE)') \
		$(if $(CLIENT),--client '$(CLIENT)') $(if $(REQUEST),--request '$(REQUEST)') $(if $(SINCE),--since '$(SINCE)') $(if $(STAGE),--stage '$(STAGE)')

.PHONY: token
token: $(INSTALLED) ## An access token of the development issuer: SCOPE="clients:read clients:write" (default: every scope)
	@$(RUN) infra/local/access_token.py $(if $(SCOPE),--scope '$(SCOPE)')

.PHONY: admin
admin: $(INSTALLED) ## The administrator's pages: their address and who may log in; opens a browser if there is a display
	@$(RUN) infra/local/admin_pages.py

.PHONY: host-environment
host-environment: $(INSTALLED) ## What pods outside Lambda are told of a deployed stack, as NAME=value: STAGE=prod
	@$(RUN) -m infra.host environment --stack-name '$(or $(STACK_NAME),vestnik-$(STAGE))'

.PHONY: import
import: $(INSTALLED) ## Imports a CSV file, with a progress bar: FILE=clients.csv; KIND=suppressions of who opted out
	@$(RUN) infra/local/import_file.py '$(or $(FILE),clients.csv)' $(if $(KIND),--kind '$(KIND)')

.PHONY: repair
repair: $(INSTALLED) ## Recounts a mailing's messages and sets its counters right: MAILING=; also DRY_RUN=1, STAGE=dev on AWS
	@$(RUN) infra/local/repair.py $(if $(MAILING),--mailing '$(MAILING)') $(if $(DRY_RUN),--dry-run) \
		$(if $(STAGE),--stage '$(STAGE)')

.PHONY: backup
backup: $(INSTALLED) ## Backs up all tables under one name; AT=2026-11-23T10:00:00Z as they were then, LIST=1 what there is, STAGE=
	@$(RUN) infra/local/backup.py $(if $(AT),--at '$(AT)') $(if $(LIST),--list) $(if $(STAGE),--stack-name 'vestnik-$(STAGE)')

.PHONY: restore
restore: $(INSTALLED) ## Restores all tables, and sends nothing again: BACKUP=name or AT=2026-11-23T10:00:00Z; also YES=1, STAGE=
	@$(RUN) infra/local/restore.py $(if $(BACKUP),--backup '$(BACKUP)') $(if $(AT),--at '$(AT)') $(if $(YES),--yes) \
		$(if $(STAGE),--stack-name 'vestnik-$(STAGE)')

.PHONY: recipients
recipients: $(INSTALLED) ## Who got a mailing, as CSV: MAILING=, STATUS=sent; of a stack on AWS also API=, TOKEN=
	@$(RUN) infra/local/recipients.py --mailing '$(MAILING)' $(if $(STATUS),--status '$(STATUS)')

.PHONY: mail
mail: $(INSTALLED) ## The e-mails that the embedded stack has sent; SEND=today or SEND=yesterday sends that day's report first
	@$(RUN) infra/local/mail.py $(if $(SEND),--send '$(SEND)')

.PHONY: deploy
deploy: $(INSTALLED) ## Deploys to AWS, or to AWS_ENDPOINT_URL, after showing what changes: STAGE=dev|prod|local; YES=1, PLAN=1 (shows and ends), ADOPT=1, PARAMETERS="Name=Value …", INFO=file
	@$(RUN) infra/local/deploy.py '$(STAGE)' $(if $(YES),--yes) $(if $(PLAN),--plan) $(if $(ADOPT),--adopt) \
		$(foreach each,$(PARAMETERS),--parameter '$(each)') $(if $(INFO),--info '$(INFO)')

.PHONY: destroy
destroy: $(INSTALLED) ## Deletes a stage's stack after its name was typed; tables and imports stay: STAGE=; WITH_DATA=1, YES=1, CONFIRM=prod
	@$(RUN) infra/local/destroy.py '$(STAGE)' $(if $(WITH_DATA),--with-data) $(if $(YES),--yes) $(if $(CONFIRM),--confirm '$(CONFIRM)')

.PHONY: package
package: $(INSTALLED) ## Packages the application, and prints where the merged template is; the code's zip lies beside it
	@$(RUN) infra/local/bundle.py

COMPOSE = docker compose --file docker-compose.localstack.yml

.PHONY: localstack
localstack: ## The stack in containers on LocalStack (needs Docker, nothing else); EMULATOR=embedded: on the embedded emulator
	$(COMPOSE) $(if $(filter embedded,$(EMULATOR)),--profile embedded) up --build --wait \
		$(if $(filter embedded,$(EMULATOR)),--scale localstack=0)
	@mkdir -p .local/localstack
	@umask 077 && $(COMPOSE) exec -T issuer cat /app/.local/published.json > .local/localstack/stack.json
	@umask 077 && $(COMPOSE) exec -T issuer cat /app/.local/issuer.json > .local/localstack/issuer.json
	@$(COMPOSE) logs --no-log-prefix --tail 7 addresses
	@echo "token          in .local/localstack/stack.json"

.PHONY: localstack-down
localstack-down: ## Ends that stack and forgets what it held
	$(COMPOSE) --profile '*' down --volumes

.PHONY: check
check: $(INSTALLED) ## Format, lint, types, import rules, dead code, dependencies, templates, the copy of the OpenAPI document
	$(RUN) -m ruff format --check .
	$(RUN) -m ruff check .
	$(RUN) -m mypy
	$(VENV)/bin/lint-imports
	$(RUN) -m vulture
	$(VENV)/bin/hadolint Dockerfile
	$(RUN) infra/local/manifests.py
	$(VENV)/bin/deptry .
	$(RUN) infra/local/openapi_copy.py --check
	$(RUN) infra/local/translations.py --check
	$(VENV)/bin/cfn-lint --template "$$($(RUN) infra/local/bundle.py)" infra/deploy-role.yaml
	$(VENV)/bin/check-jsonschema --builtin-schema vendor.gitlab-ci --data-transform gitlab-ci .gitlab-ci.yml
	$(VENV)/bin/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.localstack.yml

.PHONY: openapi
openapi: $(INSTALLED) ## Writes docs/openapi.json, the copy of /openapi.json that make check compares
	@$(RUN) infra/local/openapi_copy.py

.PHONY: translations
translations: $(INSTALLED) ## Writes what the pages say into chalicelib/admin/locale, and names what is not translated; make check does the latter
	@$(RUN) infra/local/translations.py

.PHONY: test
test: $(INSTALLED) ## Every test that this machine can run, with coverage, in so many PROCESSES= (three: many of them wait); JUNIT=file, COVERAGE_XML=file write reports
	$(RUN) -m pytest --numprocesses $(or $(PROCESSES),3) --dist loadfile --no-loadscope-reorder --cov --cov-report term \
		$(if $(COVERAGE_XML),--cov-report 'xml:$(COVERAGE_XML)') $(if $(JUNIT),--junitxml '$(JUNIT)')

.PHONY: faults
faults: $(INSTALLED) ## The fault suite: scenarios, an error at every call of AWS, an outage; prints what came of each (up to three quarters of an hour)
	@PYTHONPATH=.:infra/local $(RUN) -m tests.faults.run_all

.PHONY: fuzz
fuzz: $(INSTALLED) ## The API against its document, by 1,000 cases an operation or CASES= (half an hour); SEED= repeats a run
	@PYTHONPATH=.:infra/local $(RUN) -m tests.fuzz $(if $(CASES),--cases '$(CASES)') $(if $(SEED),--seed '$(SEED)')

.PHONY: mutants
mutants: $(INSTALLED) ## Changes the rules of chalicelib/domain in a thousand ways, and counts the changes that no test sees (some minutes)
	$(RUN) -m mutmut run
	$(RUN) -m mutmut results

.PHONY: pages
pages: $(INSTALLED) ## Every administrator's page in a browser: what axe says, kilobytes, requests; SCREENSHOTS=folder keeps pictures
	@$(if $(SCREENSHOTS),mkdir -p '$(SCREENSHOTS)' &&) SCREENSHOTS='$(SCREENSHOTS)' $(RUN) -m pytest tests/browser/test_every_page.py --quiet

.PHONY: bench
bench: $(INSTALLED) ## Rates, latencies and costs, measured (twenty minutes): CLIENTS="1000 10000", LATENCY_MS=, CONCURRENCY=, RUNS=, ONLY=, HOST=1, JSON=
	@PYTHONPATH=.:infra/local $(RUN) -m tests.bench $(foreach size,$(CLIENTS),--clients $(size)) \
		$(if $(LATENCY_MS),--latency-ms '$(LATENCY_MS)') $(if $(RUNS),--runs '$(RUNS)') \
		$(if $(BUSY_SECONDS),--busy-seconds '$(BUSY_SECONDS)') \
		$(if $(CONCURRENCY),--concurrency '$(CONCURRENCY)') $(if $(ONLY),--only '$(ONLY)') \
		$(if $(HOST),--host) $(if $(JSON),--json '$(JSON)')

.PHONY: cost
cost: $(INSTALLED) ## What a month costs on AWS by list prices: idle, with one million and ten million messages
	@PYTHONPATH=.:infra/local $(RUN) -m tests.bench.monthly

.PHONY: format
format: $(INSTALLED) ## Formats the code and mends what the linter can mend
	$(RUN) -m ruff format .
	$(RUN) -m ruff check --fix .

.PHONY: lock
lock: $(INSTALLED) ## Pins what requirements*.in ask for
	$(VENV)/bin/uv pip compile --quiet --no-header --universal --python-version 3.11 requirements.in -o requirements.txt
	$(VENV)/bin/uv pip compile --quiet --no-header --universal --python-version 3.11 requirements-host.in -o requirements-host.txt
	$(VENV)/bin/uv pip compile --quiet --no-header --universal --python-version 3.11 requirements-dev.in -o requirements-dev.txt

.PHONY: hooks
hooks: $(INSTALLED) ## Installs the pre-commit hooks
	$(VENV)/bin/pre-commit install

.PHONY: audit
audit: $(INSTALLED) ## Looks the pinned requirements up in the advisory database (needs the network)
	$(VENV)/bin/pip-audit --requirement requirements.txt --disable-pip --no-deps
