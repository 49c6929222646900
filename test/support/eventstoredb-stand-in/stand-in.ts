import { promisify } from 'node:util'
import { Server, ServerCredentials, status } from '@grpc/grpc-js'
import type { sendUnaryData, ServerUnaryCall } from '@grpc/grpc-js'
import features from '@eventstore/db-client/generated/serverfeatures_pb.js'
import type { SupportedMethods } from '@eventstore/db-client/generated/serverfeatures_pb.js'
import featuresGrpc from '@eventstore/db-client/generated/serverfeatures_grpc_pb.js'
import gossip from '@eventstore/db-client/generated/gossip_pb.js'
import type { ClusterInfo, MemberInfo } from '@eventstore/db-client/generated/gossip_pb.js'
import gossipGrpc from '@eventstore/db-client/generated/gossip_grpc_pb.js'
import streamsGrpc from '@eventstore/db-client/generated/streams_grpc_pb.js'
import { Faults } from './faults.ts'
import { Journal } from './journal.ts'
import { StandInLog } from './log.ts'
import { Reading } from './reading.ts'
import { Writing } from './writing.ts'

export type StandInOptions = {
  /** 0, the default, takes a free one. */
  readonly port?: number
  /** Where the log is kept; without it, in memory only. */
  readonly file?: string
  /** A log that another stand-in has, or had. */
  readonly log?: StandInLog
  /** PEM; with it, the stand-in speaks TLS. */
  readonly tls?: { readonly key: string; readonly certificate: string }
}

export type StandIn = {
  readonly port: number
  /** A connection string for this stand-in alone. */
  readonly url: string
  readonly log: StandInLog
  readonly faults: Faults
  readonly subscriptions: () => number
  /** Ends every subscription with an error, as an overloaded server does. */
  readonly dropSubscriptions: () => void
  /** Breaks every connection. New ones are taken. */
  readonly resetConnections: () => void
  readonly stop: () => Promise<void>
}

const host = '127.0.0.1'
const version = '24.10.0'
const states = gossip.MemberInfo.VNodeState

/** Starts a stand-in for an EventStoreDB; README.md says what it is good for. */
export async function startStandIn(options: StandInOptions = {}): Promise<StandIn> {
  const journal = options.file === undefined ? null : new Journal(options.file)
  const log = options.log ?? new StandInLog(journal)
  const faults = new Faults()
  const reading = new Reading(log, faults)
  const writing = new Writing(log, faults)
  const server = new Server({ 'grpc.max_receive_message_length': 16 * 1024 * 1024 })
  server.addService(streamsGrpc.StreamsService, {
    read: (call: Parameters<Reading['handle']>[0]) => void reading.handle(call),
    append: (...args: Parameters<Writing['append']>) => writing.append(...args),
    batchAppend: (call: Parameters<Writing['batchAppend']>[0]) => writing.batchAppend(call),
    tombstone: (...args: Parameters<Writing['tombstone']>) => void writing.tombstone(...args),
  })
  server.addService(featuresGrpc.ServerFeaturesService, { getSupportedMethods })
  let port = options.port ?? 0
  server.addService(gossipGrpc.GossipService, {
    read: (_: ServerUnaryCall<unknown, ClusterInfo>, callback: sendUnaryData<ClusterInfo>) =>
      callback(null, clusterInfo(port, faults)),
  })
  const bind = promisify(server.bindAsync.bind(server))
  port = await bind(`${host}:${port}`, credentialsOf(options))
  const tls = options.tls ? 'true' : 'false'
  return {
    ...{ port, log, faults, url: `esdb://${host}:${port}?tls=${tls}` },
    subscriptions: () => reading.subscriptions,
    dropSubscriptions: () =>
      reading.dropSubscriptions({ code: status.UNKNOWN, details: 'SubscriptionDropReason' }),
    resetConnections: () => server.drain(`${host}:${port}`, 0),
    stop: async () => {
      server.forceShutdown()
      await journal?.close()
    },
  }
}

function credentialsOf({ tls }: StandInOptions): ServerCredentials {
  if (!tls) return ServerCredentials.createInsecure()
  const pair = { private_key: Buffer.from(tls.key), cert_chain: Buffer.from(tls.certificate) }
  return ServerCredentials.createSsl(null, [pair])
}

function getSupportedMethods(
  _: ServerUnaryCall<unknown, SupportedMethods>,
  callback: sendUnaryData<SupportedMethods>,
): void {
  const supported = new features.SupportedMethods()
  supported.setEventStoreServerVersion(version)
  for (const name of ['read', 'append', 'batchappend', 'tombstone']) {
    const method = new features.SupportedMethod()
    method.setServiceName('event_store.client.streams.streams')
    method.setMethodName(name)
    supported.addMethods(method)
  }
  callback(null, supported)
}

/** One node, and the leader if that is another one. */
function clusterInfo(port: number, { leader }: Faults): ClusterInfo {
  const cluster = new gossip.ClusterInfo()
  cluster.addMembers(member(host, port, leader ? states.FOLLOWER : states.LEADER))
  if (leader) cluster.addMembers(member(leader.host, leader.port, states.LEADER))
  return cluster
}

function member(address: string, port: number, state: MemberInfo.VNodeState) {
  const info = new gossip.MemberInfo()
  info.setState(state)
  info.setIsAlive(true)
  const endpoint = new gossip.EndPoint()
  endpoint.setAddress(address)
  endpoint.setPort(port)
  info.setHttpEndPoint(endpoint)
  return info
}
