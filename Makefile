# Executables that are one file each and need no Node where they run: copy them there. The name that one is started by says what it is: mcp, mcp-agent, fairlead.
export PATH := $(CURDIR)/node_modules/.bin:$(PATH)

mcp mcp-agent: build/fairlead
	cp build/fairlead $@

build/fairlead: node_modules/.package-lock.json $(shell find src -name '*.ts') package.json rolldown.config.ts rolldown.single.config.ts deployment/single-file.json
	node scripts/generate.ts
	rolldown --config rolldown.single.config.ts --log-level warn
	node --build-sea deployment/single-file.json

node_modules/.package-lock.json:
	sh bin/prepare

clean:
	rm -rf build mcp mcp-agent

.PHONY: clean
