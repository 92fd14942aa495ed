// Commands people copy: golden texts, with names that hold blanks, quotes and dollars, and a real shell as the judge.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import * as snippets from '../../../web/js/snippets.js';

const BASE = 'https://box.example:8443';
const text = (found) => (Array.isArray(found) ? found.map((one) => one.text) : found.text);
const golden = (name, found, ...expected) => test(name, () => assert.deepEqual([].concat(text(found)), expected));
const ugly = ["it's", 'a b', '$HOME', '`id`', '$(id)', '"x"', 'a\\b', 'größe', '🎉', '*', '~', '-n', '', "''", 'a;b', 'a&b', '%PATH%', '\u2019'];

golden('apt', snippets.apt(BASE, { name: 'tools', suite: 'bookworm', component: 'main' }, 'tool'),
  `sudo mkdir -p /etc/apt/keyrings
sudo curl -fsSo /etc/apt/keyrings/packhouse.asc https://box.example:8443/key.asc
sudo tee /etc/apt/sources.list.d/tools.sources <<'END'
Types: deb
URIs: https://box.example:8443/repo/tools
Suites: bookworm
Components: main
Signed-By: /etc/apt/keyrings/packhouse.asc
END
sudo apt update && sudo apt install tool`,
  `sudo mkdir -p /etc/apt/keyrings
sudo curl -fsSo /etc/apt/keyrings/packhouse.asc https://box.example:8443/key.asc
echo 'deb [signed-by=/etc/apt/keyrings/packhouse.asc] https://box.example:8443/repo/tools bookworm main' | sudo tee /etc/apt/sources.list.d/tools.list
sudo apt update && sudo apt install tool`);

golden('apt, flat and unsigned', snippets.apt(BASE, { name: 'a+b', flat: true, unsigned: true }),
  `sudo tee /etc/apt/sources.list.d/a-b.sources <<'END'
Types: deb
URIs: https://box.example:8443/repo/a+b
Suites: ./
Trusted: yes
END
sudo apt update && sudo apt install NAME`,
  `echo 'deb [trusted=yes] https://box.example:8443/repo/a+b ./' | sudo tee /etc/apt/sources.list.d/a-b.list
sudo apt update && sudo apt install NAME`);

test('unsigned repositories warn', () => {
  assert.match(snippets.apt(BASE, { name: 'a', unsigned: true })[0].note, /not signed/);
  assert.equal(snippets.apt(BASE, { name: 'a' })[0].note, null);
  assert.match(snippets.dnf(BASE, { name: 'a', unsigned: true })[0].note, /not signed/);
});

golden('dnf and zypper', snippets.dnf(BASE, { name: 'el9' }, 'tool'),
  `sudo tee /etc/yum.repos.d/el9.repo <<'END'
[el9]
name=el9
baseurl=https://box.example:8443/repo/el9
enabled=1
gpgcheck=0
repo_gpgcheck=1
gpgkey=https://box.example:8443/repo/el9/key.asc
END
sudo dnf install tool`,
  `sudo tee /etc/zypp/repos.d/el9.repo <<'END'
[el9]
name=el9
baseurl=https://box.example:8443/repo/el9
enabled=1
gpgcheck=0
repo_gpgcheck=1
gpgkey=https://box.example:8443/repo/el9/key.asc
END
sudo zypper refresh el9 && sudo zypper install tool`);

golden('directory', snippets.directory(BASE, { name: 'docs' }, "sub dir/it's $5.pdf"),
  'curl -fO https://box.example:8443/repo/docs/sub%20dir/it%27s%20%245.pdf',
  'wget -r -np https://box.example:8443/repo/docs/',
  'curl -fO https://box.example:8443/repo/docs/SHA256SUMS\nsha256sum --ignore-missing -c SHA256SUMS');

golden('winget', snippets.winget(BASE, { tenant: 'ann' }, 'Contoso.App'),
  'winget source add -n packhouse -a https://box.example:8443/winget/ann -t Microsoft.Rest',
  'winget install --id Contoso.App --exact --source packhouse');

golden('winget with sign-in, an own certificate and an awkward id', snippets.winget(BASE, { tenant: 'ann@x', name: "our $tore", auth: true, certificate: true }, "It's.Notepad++"),
  `Import-Certificate -FilePath .\\packhouse.crt -CertStoreLocation Cert:\\LocalMachine\\Root
winget source add -n 'our $tore' -a 'https://box.example:8443/winget/ann%40x' -t Microsoft.Rest --header $env:PACKHOUSE_CLIENT_TOKEN`,
  "winget install --id 'It''s.Notepad++' --exact --source 'our $tore' --header $env:PACKHOUSE_CLIENT_TOKEN");

test('winget needs HTTPS, and says so', () => {
  assert.match(snippets.winget('http://box', { tenant: 'ann' })[0].note, /HTTPS/);
  assert.equal(snippets.winget(BASE, { tenant: 'ann' })[0].note, null);
});

const ASK = { app: 'My App', version: '1.2.0', channel: 'stable', platform: 'linux', arch: 'amd64', owner: 'ann' };
golden('update check', snippets.updateCheck(BASE, ASK),
  "curl 'https://box.example:8443/checkVersion?app_name=My%20App&version=1.2.0&channel=stable&platform=linux&arch=amd64&owner=ann'");
golden('update check without axes', snippets.updateCheck(BASE, { app: 'a', owner: 'ann' }), "curl 'https://box.example:8443/checkVersion?app_name=a&version=1.0.0&owner=ann'");
golden('electron-builder', snippets.electronBuilder(BASE, ASK),
  `# electron-builder.yml
publish:
  provider: generic
  url: "https://box.example:8443/update/ann/My%20App/stable/linux/amd64/1.2.0"

// main.js
const { autoUpdater } = require('electron-updater');
autoUpdater.on('update-downloaded', () => autoUpdater.quitAndInstall());
autoUpdater.checkForUpdatesAndNotify();`);
golden('feeds', snippets.feeds(BASE, { app: 'a', owner: 'ann' }),
  'https://box.example:8443/update/ann/a/-/-/-/1.0.0/appcast.xml',
  'https://box.example:8443/checkVersion?app_name=a&version=1.0.0&updater=squirrel_darwin&owner=ann',
  'https://box.example:8443/update/ann/a/-/-/-/1.0.0');
golden('uploading a build', snippets.appUpload(BASE, ASK, ["it's.deb"]),
  String.raw`curl -f https://box.example:8443/upload \
  -H "Authorization: Bearer $PACKHOUSE_TOKEN" \
  -F 'file=@it'\''s.deb' \
  --form-string 'data={"app_name":"My App","version":"1.2.0","channel":"stable","platform":"linux","arch":"amd64"}'`);

golden('product', snippets.productDownload(BASE, { name: 'my lib', version: 'release/2.1', filename: "it's.zip" }),
  'curl -fOJ -H "X-Api-Token: $PACKHOUSE_TOKEN" https://box.example:8443/product/download/my%20lib/release%2F2.1',
  "Invoke-WebRequest -Headers @{ 'X-Api-Token' = $env:PACKHOUSE_TOKEN } -OutFile 'it''s.zip' -Uri 'https://box.example:8443/product/download/my%20lib/release%2F2.1'");
golden('product upload', snippets.productUpload(BASE, { name: '@x $y', version: '1' }, 'a b.zip'),
  String.raw`curl -f https://box.example:8443/product/upload \
  -H "X-Api-Token: $PACKHOUSE_TOKEN" \
  --form-string 'product=@x $y' \
  --form-string version=1 \
  -F 'file=@a b.zip'`);

golden('RefPack', snippets.refpack(BASE, { id: 'geo/country-codes', version: '1.0.0+b' }),
  "curl -fOJ 'https://box.example:8443/packages/geo/country-codes?version=1.0.0%2Bb'",
  'refpack pull --id geo/country-codes --version=1.0.0+b --dest . --api-url https://box.example:8443',
  "curl -f 'https://box.example:8443/packages/geo/country-codes/data?version=1.0.0%2Bb'");
golden('RefPack, push', snippets.refpackPush(BASE),
  'refpack push --package PACK.refpack.zip --api-url https://box.example:8443 --api-key "$PACKHOUSE_TOKEN"',
  'curl -f https://box.example:8443/packages -H "X-API-Key: $PACKHOUSE_TOKEN" -F file=@PACK.refpack.zip');
golden('package from CI', snippets.packageUpload(BASE, { name: 'tools' }, 'tool_1+b.deb'),
  String.raw`curl -f --data-binary @tool_1+b.deb \
  -H "X-Api-Token: $PACKHOUSE_TOKEN" \
  'https://box.example:8443/package?filename=tool_1%2Bb.deb&repo=tools'`);
golden('digest', snippets.verify('ab12', "it's $5.deb"),
  String.raw`echo 'ab12  it'\''s $5.deb' | sha256sum -c`,
  "(Get-FileHash -Algorithm SHA256 -LiteralPath 'it''s $5.deb').Hash -eq 'ab12'");

test('a shell reads every word as it was', () => {
  for (const word of ugly) assert.equal(execFileSync('sh', ['-c', `printf '%s' ${snippets.sh(word)}`], { encoding: 'utf8' }), word);
});

test('words for PowerShell hold no quote that would end them', () => {
  assert.deepEqual(["it's", '$x', 'a b', '\u2019', 'plain-1.0', ''].map(snippets.ps), ["'it''s'", "'$x'", "'a b'", "'\u2019\u2019'", 'plain-1.0', "''"]);
});

test('no snippet ends the document it writes', () => {
  const all = [snippets.apt(BASE, { name: 'a', suite: 'x\nEND\nrm -rf /', component: 'y\r\nEND' }), snippets.dnf(BASE, { name: 'a' })].flat();
  for (const one of all) assert.ok(one.text.split('\n').filter((row) => row === 'END').length <= 1, one.text);
});
