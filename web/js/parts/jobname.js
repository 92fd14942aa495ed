// What people call a job.
export const KINDS = {
  scrub: 'Check of stored bytes', sync: 'Sync of an upstream', follow: 'Copy of a followed list', feeds: 'Upkeep of repositories',
  'audit-expire': 'Expiry of audit lines', 'winget-uploads': 'Upkeep of Windows uploads', 'winget-texts': 'Search words of Windows packages',
};
/** With what they work on: `upstream/vendor`, `repo/tools`. */
const NAMED = { sync: 'Sync of the upstream', follow: 'Copy into the repository' };

export function jobName(job) {
  const [, ...rest] = job.target.split('/');
  return NAMED[job.kind] && rest.length ? `${NAMED[job.kind]} ${rest.join('/')}` : KINDS[job.kind] ?? `${job.kind} ${job.target}`;
}
