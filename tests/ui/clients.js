// Packages and the clients that install them, each in a folder of its own: dpkg-deb, rpmbuild, wixl; apt, dnf, sh with curl.
//
//   const yard = new Yard();  yard.deb('tool', '1.0')  yard.rpm(…)  yard.msi('Tool', '1.2.3')  → paths;  yard.end()
//   yard.apt(text) · yard.dnf(text)     run the commands a page offers as they are, in a root of their own → that root
//   sh(text, { cwd, env })              runs a text; answers what it printed, throws what it complained about
import { execFile, execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
/** A guard against what hangs; nothing here takes a tenth of it. */
const LIMIT = { timeout: 240_000, killSignal: 'SIGKILL', encoding: 'utf8', maxBuffer: 64 << 20 };

export async function sh(text, { cwd, env = {} } = {}) {
  const { stdout } = await run('sh', ['-ec', text], { ...LIMIT, cwd, env: { PATH: process.env.PATH, LC_ALL: 'C.UTF-8', no_proxy: '*', ...env } });
  return stdout;
}

export class Yard {
  constructor() {
    this.folder = mkdtempSync(path.join(tmpdir(), 'packhouse-ui-yard-'));
    this.roots = 0;
  }

  end() {
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** A new folder in the yard. */
  place(name) {
    const place = path.join(this.folder, `${name}-${this.roots += 1}`);
    mkdirSync(place);
    return place;
  }

  deb(name, version) {
    const root = this.place(name);
    mkdirSync(path.join(root, 'DEBIAN'));
    mkdirSync(path.join(root, 'usr/share', name), { recursive: true });
    writeFileSync(path.join(root, 'DEBIAN/control'), `Package: ${name}\nVersion: ${version}\nArchitecture: all\nMaintainer: A <a@example.org>\nDescription: A tool\n`);
    writeFileSync(path.join(root, 'usr/share', name, 'version'), version);
    const file = path.join(this.folder, `${name}_${version}_all.deb`);
    execFileSync('dpkg-deb', ['--root-owner-group', '--build', root, file], LIMIT);
    return file;
  }

  rpm(name, version) {
    const top = this.place(name);
    writeFileSync(path.join(top, 'a.spec'), `Name: ${name}\nVersion: ${version}\nRelease: 1\nSummary: A tool\nLicense: MIT\nBuildArch: noarch\n%description\nA tool\n%install\nmkdir -p %{buildroot}/usr/share/${name}\necho ${version} > %{buildroot}/usr/share/${name}/version\n%files\n/usr/share/${name}\n`);
    execFileSync('rpmbuild', ['-bb', '--quiet', '--define', `_topdir ${top}`, '--define', `_rpmdir ${top}`, '--define', '_build_id_links none', path.join(top, 'a.spec')], { ...LIMIT, stdio: 'pipe', env: { PATH: process.env.PATH, HOME: top } });
    return path.join(top, 'noarch', `${name}-${version}-1.noarch.rpm`);
  }

  msi(name, version) {
    const at = this.place('msi');
    writeFileSync(path.join(at, 'payload'), `${name} ${'.'.repeat(5000)}`);
    const code = Buffer.from(name).toString('hex').padStart(12, '0').slice(-12);
    writeFileSync(path.join(at, 'a.wxs'), `<?xml version="1.0" encoding="utf-8"?>
<Wix xmlns="http://schemas.microsoft.com/wix/2006/wi">
  <Product Id="11111111-2222-4333-8444-${code}" UpgradeCode="66666666-7777-4888-9999-${code}" Name="${name}" Version="${version}" Manufacturer="Contoso" Language="1033" Codepage="1252">
    <Package InstallerVersion="200" Compressed="yes" InstallScope="perMachine"/>
    <Media Id="1" Cabinet="a.cab" EmbedCab="yes"/>
    <Directory Id="TARGETDIR" Name="SourceDir"><Directory Id="ProgramFilesFolder"><Directory Id="D" Name="Contoso">
      <Component Id="C" Guid="BBBBBBBB-7777-4888-9999-${code}"><File Id="F" Name="file.txt" Source="payload" KeyPath="yes"/></Component>
    </Directory></Directory></Directory>
    <Feature Id="Main" Level="1"><ComponentRef Id="C"/></Feature>
  </Product>
</Wix>`);
    const file = path.join(at, `${name.replaceAll(' ', '-')}-${version}-x64.msi`);
    execFileSync('wixl', ['-a', 'x64', '-o', file, 'a.wxs'], { ...LIMIT, cwd: at, stdio: 'pipe' });
    return file;
  }

  /** Runs the lines a page offers to a Debian machine, in a new root; answers the root. */
  async apt(text) {
    const root = this.place('apt');
    for (const part of ['etc/apt/sources.list.d', 'etc/apt/preferences.d', 'etc/apt/trusted.gpg.d', 'etc/apt/auth.conf.d', 'var/lib/apt/lists/partial', 'var/cache/apt/archives/partial', 'var/log/apt', 'var/lib/dpkg/info', 'var/lib/dpkg/updates']) mkdirSync(path.join(root, part), { recursive: true });
    writeFileSync(path.join(root, 'var/lib/dpkg/status'), '');
    writeFileSync(path.join(root, 'apt.conf'), `Dir "${root}";\nDir::Etc::parts "/dev/null";\nDir::Etc::main "/dev/null";\nDir::State::status "${root}/var/lib/dpkg/status";\nDir::Bin::dpkg "/usr/bin/dpkg";\nDir::Bin::methods "/usr/lib/apt/methods";\nAPT::Architecture "amd64";\nAPT::Architectures { "amd64"; };\nAPT::Sandbox::User "root";\nAcquire::Languages "none";\nAcquire::http::Proxy "DIRECT";\nDPkg::Options { "--root=${root}"; "--force-not-root"; "--force-unsafe-io"; "--log=/dev/null"; };\nDPkg::Path "";\n`);
    // The lines as they are, but for where the machine is.
    const here = text.replaceAll('sudo ', '').replaceAll('/etc/apt/', `${root}/etc/apt/`).replaceAll(/\bapt (update|install)\b/g, 'apt-get -q -y $1');
    await sh(here, { env: { APT_CONFIG: path.join(root, 'apt.conf'), DEBIAN_FRONTEND: 'noninteractive', HOME: root } });
    return root;
  }

  /** Runs the lines a page offers to a Fedora machine; `again`: the root of an earlier answer. */
  async dnf(text, again) {
    const root = again ?? this.place('dnf');
    for (const part of ['repos', 'log', 'cache', 'state', 'vars', 'root']) mkdirSync(path.join(root, part), { recursive: true });
    writeFileSync(path.join(root, 'dnf.conf'), '[main]\ngpgcheck=0\nplugins=0\nretries=1\ntimeout=60\n');
    const dnf = `dnf -y --releasever=9 --forcearch=x86_64 --config=${root}/dnf.conf --installroot=${root}/root --setopt=reposdir=${root}/repos --setopt=cachedir=${root}/cache --setopt=logdir=${root}/log --setopt=persistdir=${root}/state --setopt=varsdir=${root}/vars`;
    const here = text.replaceAll('sudo ', '').replaceAll('/etc/yum.repos.d/', `${root}/repos/`).replaceAll(/^dnf /gm, `${dnf} `);
    await sh(here, { env: { HOME: root } });
    return root;
  }
}
