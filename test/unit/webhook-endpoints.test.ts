import { describe, expect, test } from '@jest/globals'
import { accountDecider } from '../../domain/account/account.ts'
import type { AccountCommand } from '../../domain/account/account-commands.ts'
import { decodeAccount, encodeAccount } from '../../domain/account/account-snapshot.ts'
import {
  endpointsMax,
  existingEndpoint,
  secretsMax,
  secretVersionsAt,
} from '../../domain/account/webhook-endpoints.ts'
import type { Json } from '../../domain/json.ts'
import * as a from '../support/account-history.ts'
import { given as givenEvents } from '../support/given.ts'
import { at } from '../support/job-history.ts'

const open = a.openAccount()
const registered = [open, a.registerEndpoint('e1')] as const
const daySeconds = 24 * 3_600

/** Given what these commands left. */
function given(...commands: readonly AccountCommand[]) {
  return givenEvents(accountDecider, a.historyOf(...commands))
}

function endpointOf(...commands: readonly AccountCommand[]) {
  return existingEndpoint(given(...commands).state.endpoints, 'e1')
}

describe('registering an endpoint', () => {
  const url = 'https://e1.example.com/hooks'

  test('tells its URL and what it wants', () => {
    const events = ['job.failed']
    given(open)
      .when(a.registerEndpoint('e1', { events }))
      .then([
        {
          type: 'WebhookEndpointRegistered',
          data: { endpointId: 'e1', url, events, registeredAt: at(1) },
        },
      ])
  })

  test('needs an account', () => {
    given().when(a.registerEndpoint('e1')).refuses('not_found')
  })

  test('does nothing the second time, even when it was removed meanwhile', () => {
    given(...registered)
      .when(a.registerEndpoint('e1'))
      .doesNothing()
    given(...registered, a.removeEndpoint('e1'))
      .when(a.registerEndpoint('e1'))
      .doesNothing()
  })

  test('is refused beyond the limit, and accepted again when one was removed', () => {
    const full = Array.from({ length: endpointsMax }, (_, index) => a.registerEndpoint(`e${index}`))
    given(open, ...full)
      .when(a.registerEndpoint('more'))
      .refuses('conflict')
    const again = given(open, ...full, a.removeEndpoint('e3'), a.registerEndpoint('more'))
    expect(again.state.endpoints.all).toHaveLength(endpointsMax)
  })

  test('an endpoint that was disabled counts towards the limit', () => {
    const full = Array.from({ length: endpointsMax }, (_, index) => a.registerEndpoint(`e${index}`))
    given(open, ...full, a.disableEndpoint('e0'))
      .when(a.registerEndpoint('more'))
      .refuses('conflict')
  })
})

describe('removing an endpoint', () => {
  test('leaves nothing of it', () => {
    given(...registered)
      .when(a.removeEndpoint('e1'))
      .then([{ type: 'WebhookEndpointRemoved', data: { endpointId: 'e1', removedAt: at(9) } }])
    expect(given(...registered, a.removeEndpoint('e1')).state.endpoints.all).toEqual([])
  })

  test('does nothing when it is removed already', () => {
    given(...registered, a.removeEndpoint('e1'))
      .when(a.removeEndpoint('e1'))
      .doesNothing()
  })

  test('refuses one that never was', () => {
    given(open).when(a.removeEndpoint('e1')).refuses('not_found')
  })
})

describe('rotating the secret of an endpoint', () => {
  test('makes the next version and lets the one before sign for a day', () => {
    given(...registered)
      .when(a.rotateSecret('e1', 'r1', at(5)))
      .then([
        {
          type: 'WebhookSecretRotated',
          data: {
            ...{ endpointId: 'e1', rotationId: 'r1', secretVersion: 2 },
            ...{ rotatedAt: at(5), previousEndsAt: at(5 + daySeconds) },
          },
        },
      ])
    const endpoint = endpointOf(...registered, a.rotateSecret('e1', 'r1', at(5)))
    expect(secretVersionsAt(endpoint, at(4 + daySeconds))).toEqual([2, 1])
    expect(secretVersionsAt(endpoint, at(5 + daySeconds))).toEqual([2])
  })

  test('again within the day keeps every secret that has not ended', () => {
    const second = a.rotateSecret('e1', 'r2', at(60))
    const endpoint = endpointOf(...registered, a.rotateSecret('e1', 'r1', at(5)), second)
    expect(secretVersionsAt(endpoint, at(61))).toEqual([3, 2, 1])
    expect(secretVersionsAt(endpoint, at(5 + daySeconds))).toEqual([3, 2])
  })

  test('forgets what had ended', () => {
    const later = a.rotateSecret('e1', 'r2', at(2 * daySeconds))
    const endpoint = endpointOf(...registered, a.rotateSecret('e1', 'r1', at(5)), later)
    expect(endpoint.endingSecrets.map(({ secretVersion }) => secretVersion)).toEqual([2])
  })

  test('does nothing the second time, also after another rotation', () => {
    const rotations = [a.rotateSecret('e1', 'r1'), a.rotateSecret('e1', 'r2')]
    given(...registered, ...rotations)
      .when(a.rotateSecret('e1', 'r1'))
      .doesNothing()
  })

  test('is refused while too many secrets are valid', () => {
    const many = Array.from({ length: secretsMax - 1 }, (_, index) =>
      a.rotateSecret('e1', `r${index}`),
    )
    given(...registered, ...many)
      .when(a.rotateSecret('e1', 'more'))
      .refuses('conflict')
    const nextDay = given(...registered, ...many, a.rotateSecret('e1', 'more', at(2 * daySeconds)))
    expect(existingEndpoint(nextDay.state.endpoints, 'e1').secretVersion).toBe(secretsMax + 1)
  })

  test('refuses an endpoint that is not there', () => {
    given(open).when(a.rotateSecret('e1', 'r1')).refuses('not_found')
  })
})

describe('disabling an endpoint', () => {
  test('tells which delivery was answered so', () => {
    given(...registered)
      .when(a.disableEndpoint('e1'))
      .then([
        {
          type: 'WebhookEndpointDisabled',
          data: { endpointId: 'e1', deliveryId: 'd1', disabledAt: at(7) },
        },
      ])
    expect(endpointOf(...registered, a.disableEndpoint('e1')).disabledAt).toBe(at(7))
  })

  test('does nothing when it is disabled, removed or unknown', () => {
    const disabled = [...registered, a.disableEndpoint('e1')]
    given(...disabled)
      .when({ ...a.disableEndpoint('e1'), deliveryId: 'd2' })
      .doesNothing()
    given(...disabled, a.removeEndpoint('e1'))
      .when(a.disableEndpoint('e1'))
      .doesNothing()
    given(open).when(a.disableEndpoint('e1')).doesNothing()
  })
})

describe('enabling an endpoint', () => {
  const disabled = [...registered, a.disableEndpoint('e1')]
  test('that was disabled tells what it is to hear', () => {
    const { url, events } = a.registerEndpoint('e1')
    given(...disabled)
      .when(a.enableEndpoint('e1'))
      .then([
        {
          type: 'WebhookEndpointEnabled',
          data: { endpointId: 'e1', url, events, enabledAt: at(8) },
        },
      ])
    expect(endpointOf(...disabled, a.enableEndpoint('e1')).disabledAt).toBeNull()
  })

  test('that is enabled does nothing', () => {
    given(...registered)
      .when(a.enableEndpoint('e1'))
      .doesNothing()
    given(...disabled, a.enableEndpoint('e1'))
      .when(a.enableEndpoint('e1'))
      .doesNothing()
  })

  test('that was removed, or never was, is refused', () => {
    given(...disabled, a.removeEndpoint('e1'))
      .when(a.enableEndpoint('e1'))
      .refuses('not_found')
    given(open).when(a.enableEndpoint('e1')).refuses('not_found')
  })

  test('is not for ever: it may answer 410 again', () => {
    const again = [...disabled, a.enableEndpoint('e1'), a.disableEndpoint('e1')]
    expect(endpointOf(...again).disabledAt).toBe(at(7))
  })
})

test('a snapshot keeps the endpoints', () => {
  const { state } = given(
    ...registered,
    ...[a.registerEndpoint('e2', { events: ['job.succeeded'] }), a.registerEndpoint('e3')],
    ...[a.rotateSecret('e1', 'r1'), a.disableEndpoint('e2'), a.removeEndpoint('e3')],
  )
  const copy = decodeAccount(JSON.parse(JSON.stringify(encodeAccount(state))) as Json)
  expect(copy?.endpoints).toEqual(state.endpoints)
})
