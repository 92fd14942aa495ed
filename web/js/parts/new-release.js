// The drawer of a new release: files dropped together, each with the platform and architecture its name tells, become
// one draft. `newRelease({ app, axes, into })` answers the release's address, or undefined; `into` adds files to a
// release that is there.
import { h, keyed, replace } from '../dom.js';
import { api } from '../api.js';
import { bytes, count } from '../format.js';
import { link } from '../router.js';
import { button } from './button.js';
import { drawer } from './drawer.js';
import { dropzone } from './dropzone.js';
import { field, form, side } from './field.js';
import { notice } from './notice.js';
import { progress } from './progress.js';
import { toggle } from './switch.js';
import { isVersion, multipart, recognise } from '../data/apps.js';

export function newRelease({ app, axes, into = null, files: first = [] }) {
  const platforms = axes.platform.map((one) => one.name);
  const archs = axes.arch.map((one) => one.name);
  let files = [];
  let number = 0;
  const rows = h('ul', { class: 'lines' });
  const bar = h('div');
  const version = field({ label: 'Version', name: 'version', required: true, value: into?.Version ?? '', disabled: Boolean(into), hint: 'Numbers joined by dots, like 1.4.0.', validate: (text) => isVersion(text.trim()) ? null : 'Numbers joined by dots, at most six, like 1.4.0.' });
  const channel = axes.channel.length > 0 && field({ label: 'Channel', name: 'channel', type: 'select', options: axes.channel.map((one) => one.name), value: into?.Channel || axes.channel[0].name, disabled: Boolean(into) });
  const changelog = !into && field({ label: 'What is new', name: 'changelog', type: 'textarea', wide: true, hint: 'Markdown. Clients show it beside the update.' });
  const publish = !into && toggle({ label: 'Publish at once', name: 'publish', hint: 'Off: the release is a draft, and no client hears of it until you publish it.', off: 'Draft', on: 'Published' });
  const critical = !into && toggle({ label: 'Critical', name: 'critical', hint: 'Clients are told that this update must not be put off.' });
  const extra = axes.platform.some((one) => one.updaters.some((updater) => updater.type !== 'manual'));
  const updater = extra && field({ label: 'Updater', name: 'updater', type: 'select', options: [['', 'Plain files'], ...[...new Set(axes.platform.flatMap((one) => one.updaters.map((found) => found.type)))].filter((type) => type !== 'manual').map((type) => [type, type])], hint: 'Only for feeds a framework reads: their files keep their own names.' });
  const signature = extra && field({ label: 'Signature', name: 'signature', hint: 'What Sparkle or Tauri check the file against.' });

  function take(list) {
    for (const file of list) {
      const said = recognise(file.name, platforms, archs);
      files.push({ key: number += 1, file, platform: said.platform, arch: said.arch });
      if (said.version && !version.value && !into) version.value = said.version;
    }
    draw();
  }
  function draw() {
    keyed(rows, files, (one) => one.key, (one) => {
      const select = (label, names, key) => names.length > 0 && h('select', { class: 'input', 'aria-label': `${label} of ${one.file.name}`, value: one[key], onchange: (event) => { one[key] = event.target.value; problem(); } }, h('option', { value: '' }, `${label}…`), names.map((name) => h('option', { value: name }, name)));
      return h('li', { class: 'file-row' }, h('div', { class: 'grow' }, h('strong', { class: 'wrap' }, one.file.name), h('span', { class: 'muted small' }, ` ${bytes(one.file.size)}`)),
        h('div', { class: 'row' }, select('Platform', platforms, 'platform'), select('Architecture', archs, 'arch'), button(`Remove ${one.file.name}`, { look: 'icon', icon: 'x', onclick: () => { files = files.filter((other) => other !== one); draw(); } })));
    });
    problem();
  }
  const wrong = h('p', { class: 'small muted', 'aria-live': 'polite' });
  function problem() {
    const open = files.filter((one) => (platforms.length && !one.platform) || (archs.length && !one.arch));
    replace(wrong, open.length > 0 && `Choose for ${count(open.length, 'file')} what it was built for.`);
    return open.length > 0;
  }

  async function send(values, close) {
    if (files.length === 0) throw new Error('Drop at least one file.');
    if (problem()) throw new Error('Choose platform and architecture of every file.');
    const groups = Map.groupBy ? Map.groupBy(files, (one) => `${one.platform}\n${one.arch}`) : files.reduce((all, one) => all.set(`${one.platform}\n${one.arch}`, [...(all.get(`${one.platform}\n${one.arch}`) ?? []), one]), new Map());
    const whole = files.reduce((sum, one) => sum + one.file.size, 0);
    const shown = progress('Uploading');
    replace(bar, shown);
    let sent = 0;
    const wanted = { app_name: app, version: (into?.Version ?? values.version).trim(), channel: into ? into.Channel : values.channel, changelog: values.changelog, critical: values.critical, updater: values.updater, signature: values.signature };
    // Published last: no client hears of a release before all of its files are there.
    const left = [...groups.values()];
    for (const group of left) {
      const { platform, arch } = group[0];
      const size = group.reduce((sum, one) => sum + one.file.size, 0);
      const data = Object.fromEntries(Object.entries({ ...wanted, platform, arch, publish: Boolean(values.publish) && left.length === 1 }).filter(([, value]) => value !== undefined && value !== ''));
      const answer = await api.upload('/upload', multipart(data, group.map((one) => one.file)), { progress: (done) => shown.at(sent + Math.min(done, size), whole, `${platform} ${arch}`.trim() || app, `${bytes(sent + Math.min(done, size))} of ${bytes(whole)}`) });
      sent += size;
      files = files.filter((one) => !group.includes(one));
      draw();
      if (values.publish && files.length === 0 && left.length > 1) await api.post('/apps/update', multipart({ id: answer['uploadResult.Uploaded'], app_name: app, version: wanted.version, publish: true }));
    }
    close(link('/apps/:app/:channel/:version', { app, channel: wanted.channel || '-', version: wanted.version.replaceAll('-', (sign, at, text) => (/[a-z]/i.test(text) ? sign : '.')) }));
  }

  return drawer({ title: into ? `Add files to ${into.AppName} ${into.Version}` : `New release of ${app}`, wide: true, body: (close) => {
    const node = form({
      fields: [
        dropzone({ label: 'Drop the files of all platforms', hint: 'Their names tell what they are for; you can change it.', onfiles: take }),
        rows, wrong,
        (platforms.length === 0 || archs.length === 0) && !into && notice('info', 'Without platforms and architectures every client is offered every file. They are set up under Apps.'),
        channel ? side(version, channel) : version, changelog, updater && h('details', { class: 'disclosure' }, h('summary', null, 'For native updaters'), h('div', { class: 'stack' }, updater, signature)), critical, publish, bar,
      ],
      submit: into ? 'Add files' : 'Create release', busy: 'Uploading…', cancel: () => close(),
      onsubmit: (values) => send({ ...values, updater: updater?.value, signature: signature?.value }, close),
    });
    take(first);
    return node;
  } });
}
