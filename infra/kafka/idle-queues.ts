import RequestQueue from 'kafkajs/src/network/requestQueue/index.js'

/**
 * kafkajs 2.2.4 looks for waiting requests every millisecond on each connection, for as long as it
 * is open, also when none waits (https://github.com/tulios/kafkajs/issues/1704): a quiet process
 * used a twentieth of a core for it. A request that has to wait schedules that look by itself.
 */
const schedule = Reflect.get(RequestQueue.prototype, 'scheduleCheckPendingRequests')

/** Lets connections without a waiting request be quiet. May be called again. */
export function letIdleQueuesRest(): void {
  RequestQueue.prototype.scheduleCheckPendingRequests = function () {
    if (this.pending.length > 0) schedule.call(this)
  }
}
