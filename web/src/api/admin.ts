/** The operator's endpoints, and /metrics. */
import { parseMetrics, type Scrape } from '@/lib/operator/prometheus'
import type { LoggedRequest } from '@/lib/operator/requestLog'
import type { AdminStatus } from '@/lib/operator/serverStatus'
import { getJson, request } from './http'

/** Most that the server lists at once. */
const ALL_REQUESTS = 500

export async function adminStatus(): Promise<AdminStatus> {
  return getJson<AdminStatus>('/api/admin/status')
}

export async function adminRequests(limit = ALL_REQUESTS): Promise<LoggedRequest[]> {
  return (await getJson<{ requests: LoggedRequest[] }>(`/api/admin/requests?limit=${limit}`)).requests
}

export async function endRequest(id: string): Promise<void> {
  await request(`/api/admin/requests/${encodeURIComponent(id)}`, { method: 'DELETE' })
}

/** Where the user has no key for asking, the operator's will do: the server takes it for every path. Without one this fails:
 * what asks every two seconds opens no dialog. */
export async function metrics(adminKey: string | null): Promise<Scrape> {
  const response = await request('/metrics', adminKey ? { headers: { authorization: `Bearer ${adminKey}` } } : {}, { askForKey: false })
  return parseMetrics(await response.text())
}
