// Commands and files to copy, filled in for this server. Pure: `(base, thing) → {id, label, language, text}`, or a list of
// them; golden texts in tests/ui/unit/snippets.test.js. A token is never printed: an environment variable stands in.
//
// `base` is what addresses begin with, without a slash at its end. Every value is quoted for the shell it goes to.

const PLAIN = /^[A-Za-z0-9_@%+=:,./-]+$/;

/** A word for sh and bash. */
export function sh(text) {
  const word = String(text);
  return PLAIN.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}

/** A word for PowerShell, which takes the typographic quotes for quotes too. */
export function ps(text) {
  const word = String(text);
  return /^[A-Za-z0-9_+=:./-]+$/.test(word) ? word : `'${word.replaceAll(/['\u2018\u2019\u201a\u201b]/g, '$&$&')}'`;
}

/** One segment of a path. */
export function seg(text) {
  return encodeURIComponent(String(text)).replaceAll(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`);
}

/** A path of several segments, its slashes kept. */
function path(text) {
  return String(text).split('/').map(seg).join('/');
}

/** A value on one line of a configuration file. */
function line(text) {
  return String(text).replaceAll(/[\u0000-\u001f\u007f]+/g, ' ').trim();
}

function query(pairs) {
  return pairs.filter(([, value]) => value !== '' && value !== null && value !== undefined).map(([name, value]) => `${name}=${seg(value)}`).join('&');
}

function http(base) {
  return !/^https:/i.test(base);
}

// apt reads only files whose names keep to these signs.
function listName(repo) {
  return String(repo).replaceAll(/[^A-Za-z0-9_.-]/g, '-');
}

const WHAT = 'NAME';

/** Lines for machines with apt. `repo`: {name, suite, component, components, flat, unsigned}; `install`: a package. */
export function apt(base, repo, install = WHAT) {
  const root = `${base}/repo/${repo.name}`;
  const file = `/etc/apt/sources.list.d/${listName(repo.name)}`;
  const suite = repo.flat ? './' : line(repo.suite ?? 'stable');
  const components = repo.flat ? [] : [].concat(repo.components ?? repo.component ?? 'main').map(line);
  const key = '/etc/apt/keyrings/packhouse.asc';
  const source = ['Types: deb', `URIs: ${root}`, `Suites: ${suite}`];
  if (components.length) source.push(`Components: ${components.join(' ')}`);
  source.push(repo.unsigned ? 'Trusted: yes' : `Signed-By: ${key}`);
  const fetchKey = repo.unsigned ? [] : ['sudo mkdir -p /etc/apt/keyrings', `sudo curl -fsSo ${key} ${sh(`${base}/key.asc`)}`];
  const then = `sudo apt update && sudo apt install ${sh(install)}`;
  const warning = repo.unsigned ? 'This repository is not signed: “Trusted: yes” makes apt believe whoever answers at this address.' : null;
  return [
    { id: 'apt', label: 'Debian 12+, Ubuntu 22.04+', language: 'sh', note: warning, text: [...fetchKey, `sudo tee ${file}.sources <<'END'`, ...source, 'END', then].join('\n') },
    {
      id: 'apt-old', label: 'Older Debian, Ubuntu', language: 'sh', note: warning,
      text: [...fetchKey, `echo ${sh(['deb', `[${repo.unsigned ? 'trusted=yes' : `signed-by=${key}`}]`, root, suite, ...components].join(' '))} | sudo tee ${file}.list`, then].join('\n'),
    },
  ];
}

/** Lines for machines with dnf, yum or zypper. `repo`: {name, unsigned}. */
export function dnf(base, repo, install = WHAT) {
  const root = `${base}/repo/${repo.name}`;
  const file = [`[${repo.name}]`, `name=${repo.name}`, `baseurl=${root}`, 'enabled=1', 'gpgcheck=0', ...(repo.unsigned ? ['repo_gpgcheck=0'] : ['repo_gpgcheck=1', `gpgkey=${root}/key.asc`])];
  const write = (where) => [`sudo tee ${where}/${listName(repo.name)}.repo <<'END'`, ...file, 'END'];
  const warning = repo.unsigned ? 'This repository is not signed: dnf believes whoever answers at this address.' : null;
  return [
    { id: 'dnf', label: 'Fedora, RHEL, Alma, Rocky', language: 'sh', note: warning, text: [...write('/etc/yum.repos.d'), `sudo dnf install ${sh(install)}`].join('\n') },
    { id: 'zypper', label: 'openSUSE, SLES', language: 'sh', note: warning, text: [...write('/etc/zypp/repos.d'), `sudo zypper refresh ${sh(repo.name)} && sudo zypper install ${sh(install)}`].join('\n') },
  ];
}

/** Fetching from a directory repository. */
export function directory(base, repo, file = 'FILE') {
  const root = `${base}/repo/${repo.name}`;
  return [
    { id: 'curl', label: 'One file', language: 'sh', text: `curl -fO ${sh(`${root}/${path(file)}`)}` },
    { id: 'wget', label: 'Everything', language: 'sh', text: `wget -r -np ${sh(`${root}/`)}` },
    { id: 'sums', label: 'Check', language: 'sh', text: [`curl -fO ${sh(`${root}/SHA256SUMS`)}`, 'sha256sum --ignore-missing -c SHA256SUMS'].join('\n') },
  ];
}

/** The snippets that fit a repository of any type. */
export function repository(base, repo, install) {
  if (repo.type === 'apt') return apt(base, repo, install);
  if (repo.type === 'yum') return dnf(base, repo, install);
  return directory(base, repo, install);
}

/** Lines for Windows. `source`: {tenant, name, auth, certificate}; `id`: a package. */
export function winget(base, source, id = 'ID') {
  const name = source.name ?? 'packhouse';
  const add = ['winget source add', '-n', ps(name), '-a', ps(`${base}/winget/${seg(source.tenant)}`), '-t Microsoft.Rest'];
  if (source.auth) add.push('--header $env:PACKHOUSE_CLIENT_TOKEN');
  const install = ['winget install', '--id', ps(id), '--exact --source', ps(name)];
  if (source.auth) install.push('--header $env:PACKHOUSE_CLIENT_TOKEN');
  const trust = source.certificate ? ['Import-Certificate -FilePath .\\packhouse.crt -CertStoreLocation Cert:\\LocalMachine\\Root'] : [];
  return [
    { id: 'winget-add', label: 'Once, in an elevated PowerShell', language: 'powershell', note: http(base) ? 'winget takes sources by HTTPS only. This page was opened by plain HTTP: give this server a certificate first.' : null, text: [...trust, add.join(' ')].join('\n') },
    { id: 'winget-install', label: 'Install', language: 'powershell', text: install.join(' ') },
  ];
}

/** The address an installed client asks. `ask`: {app, version, channel, platform, arch, owner, updater}. */
export function checkAddress(base, ask) {
  return `${base}/checkVersion?${query([['app_name', ask.app], ['version', ask.version ?? '1.0.0'], ['channel', ask.channel], ['platform', ask.platform], ['arch', ask.arch], ['updater', ask.updater], ['owner', ask.owner]])}`;
}

export function updateCheck(base, ask) {
  return { id: 'check', label: 'Update check', language: 'sh', text: `curl ${sh(checkAddress(base, ask))}` };
}

function folder(base, ask) {
  return `${base}/update/${[ask.owner, ask.app, ask.channel || '-', ask.platform || '-', ask.arch || '-', ask.version ?? '1.0.0'].map(seg).join('/')}`;
}

export function electronBuilder(base, ask) {
  // JSON text is YAML text, whatever is in the name.
  const url = folder(base, ask);
  return {
    id: 'electron', label: 'electron-builder', language: 'yaml',
    text: ['# electron-builder.yml', 'publish:', '  provider: generic', `  url: ${JSON.stringify(url)}`, '', '// main.js', "const { autoUpdater } = require('electron-updater');", "autoUpdater.on('update-downloaded', () => autoUpdater.quitAndInstall());", 'autoUpdater.checkForUpdatesAndNotify();'].join('\n'),
  };
}

/** The feeds of Sparkle and Squirrel. */
export function feeds(base, ask) {
  return [
    { id: 'sparkle', label: 'Sparkle, WinSparkle', language: 'text', text: `${folder(base, ask)}/appcast.xml` },
    { id: 'squirrel-mac', label: 'Squirrel.Mac', language: 'text', text: checkAddress(base, { ...ask, updater: 'squirrel_darwin' }) },
    { id: 'squirrel-windows', label: 'Squirrel.Windows', language: 'text', text: folder(base, ask) },
  ];
}

/** Uploading a build from CI. `ask` as in `updateCheck`; `files`: their names. */
export function appUpload(base, ask, files = ['FILE']) {
  const data = { app_name: ask.app, version: ask.version ?? '1.0.0', channel: ask.channel, platform: ask.platform, arch: ask.arch };
  const said = JSON.stringify(Object.fromEntries(Object.entries(data).filter(([, value]) => value)));
  return { id: 'app-upload', label: 'Upload from CI', language: 'sh', text: [`curl -f ${sh(`${base}/upload`)} \\`, '  -H "Authorization: Bearer $PACKHOUSE_TOKEN" \\', ...files.map((file) => `  -F ${sh(`file=@${file}`)} \\`), `  --form-string ${sh(`data=${said}`)}`].join('\n') };
}

/** One version of a product. `thing`: {name, version, filename}. */
export function productDownload(base, thing) {
  const url = `${base}/product/download/${seg(thing.name)}/${seg(thing.version ?? 'VERSION')}`;
  return [
    { id: 'curl', label: 'Download (curl)', language: 'sh', text: `curl -fOJ -H "X-Api-Token: $PACKHOUSE_TOKEN" ${sh(url)}` },
    { id: 'powershell', label: 'Download (PowerShell)', language: 'powershell', text: `Invoke-WebRequest -Headers @{ 'X-Api-Token' = $env:PACKHOUSE_TOKEN } -OutFile ${ps(thing.filename ?? thing.name)} -Uri ${ps(url)}` },
  ];
}

export function productUpload(base, thing, file = 'FILE') {
  return {
    id: 'upload', label: 'Upload from CI', language: 'sh',
    text: [`curl -f ${sh(`${base}/product/upload`)} \\`, '  -H "X-Api-Token: $PACKHOUSE_TOKEN" \\', `  --form-string ${sh(`product=${thing.name}`)} \\`, `  --form-string ${sh(`version=${thing.version ?? 'VERSION'}`)} \\`, `  -F ${sh(`file=@${file}`)}`].join('\n'),
  };
}

/** One version of a RefPack. `thing`: {id, version}. */
export function refpack(base, thing) {
  const version = thing.version ? `?version=${seg(thing.version)}` : '';
  // The root command owns `--version`, so the value must hang on it.
  const pull = thing.version && ['refpack pull', '--id', sh(thing.id), `--version=${sh(thing.version)}`, '--dest .', '--api-url', sh(base)].join(' ');
  return [
    { id: 'curl', label: 'curl', language: 'sh', text: `curl -fOJ ${sh(`${base}/packages/${path(thing.id)}${version}`)}` },
    ...(pull ? [{ id: 'refpack', label: 'RefPack CLI', language: 'sh', text: pull }] : []),
    { id: 'data', label: 'Only the data', language: 'sh', text: `curl -f ${sh(`${base}/packages/${path(thing.id)}/data${version}`)}` },
  ];
}

export function refpackPush(base, file = 'PACK.refpack.zip') {
  return [
    { id: 'refpack', label: 'RefPack CLI', language: 'sh', text: `refpack push --package ${sh(file)} --api-url ${sh(base)} --api-key "$PACKHOUSE_TOKEN"` },
    { id: 'curl', label: 'curl', language: 'sh', text: `curl -f ${sh(`${base}/packages`)} -H "X-API-Key: $PACKHOUSE_TOKEN" -F ${sh(`file=@${file}`)}` },
  ];
}

/** Adding a built package to a repository from CI. */
export function packageUpload(base, repo, file = 'FILE') {
  return { id: 'package', label: 'Publish from CI', language: 'sh', text: [`curl -f --data-binary ${sh(`@${file}`)} \\`, '  -H "X-Api-Token: $PACKHOUSE_TOKEN" \\', `  ${sh(`${base}/package?${query([['filename', file], ['repo', repo.name]])}`)}`].join('\n') };
}

/** Comparing a file with its digest. */
export function verify(digest, file) {
  return [
    { id: 'sha256sum', label: 'Check (Linux)', language: 'sh', text: `echo ${sh(`${digest}  ${file}`)} | sha256sum -c` },
    { id: 'filehash', label: 'Check (Windows)', language: 'powershell', text: `(Get-FileHash -Algorithm SHA256 -LiteralPath ${ps(file)}).Hash -eq '${digest}'` },
  ];
}

/** A repository carried to another server: a bundle fetched here, taken in there. */
export function bundleExport(base, name, since) {
  const from = `${base}/repo/${seg(name)}/export${since ? `?since=${since}` : ''}`;
  const file = `${name}.zip`;
  return [
    { id: 'bundle-export', label: 'Here', language: 'bash', text: `curl -fSo ${sh(file)} ${sh(from)}\ncurl -fsSo key.asc ${sh(`${base}/key.asc`)}` },
    { id: 'bundle-import', label: 'On the other side (SERVER is its address)', language: 'bash', text: `# Once: believe what this server signs.\ncurl -fsS -H "X-Api-Token: $PACKHOUSE_TOKEN" --data-binary @key.asc "$SERVER/key/trusted"\ncurl -fsS -X POST -H "X-Api-Token: $PACKHOUSE_TOKEN" -T ${sh(file)} "$SERVER/import"` },
  ];
}
