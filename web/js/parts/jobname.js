// What people call a job.
export const KINDS = { scrub: 'Check of stored bytes', sync: 'Sync of an upstream', publish: 'Publication' };

export function jobName(job) {
  return `${KINDS[job.kind] ?? job.kind}${job.kind === 'scrub' ? '' : ` ${job.target}`}`;
}
