import { Module } from '@nestjs/common'
import type { DynamicModule } from '@nestjs/common'
import { APP_FILTER, APP_GUARD, APP_INTERCEPTOR } from '@nestjs/core'
import { CqrsModule } from '@nestjs/cqrs'
import { AdjustCreditsHandler } from './commands/adjust-credits.ts'
import { BanAccountHandler } from './commands/ban-account.ts'
import { CancelJobHandler } from './commands/cancel-job.ts'
import { CreateOrgHandler } from './commands/create-org.ts'
import { EnableWebhookEndpointHandler } from './commands/enable-webhook-endpoint.ts'
import { GrantCreditsHandler } from './commands/grant-credits.ts'
import { IssueApiKeyHandler } from './commands/issue-api-key.ts'
import { PublishPriceHandler } from './commands/publish-price.ts'
import { RegisterWebhookEndpointHandler } from './commands/register-webhook-endpoint.ts'
import { RemoveWebhookEndpointHandler } from './commands/remove-webhook-endpoint.ts'
import { ReplayWebhookDeliveryHandler } from './commands/replay-webhook-delivery.ts'
import { ReinstateAccountHandler } from './commands/reinstate-account.ts'
import { RetryJobHandler } from './commands/retry-job.ts'
import { RevokeApiKeyHandler } from './commands/revoke-api-key.ts'
import { RotateWebhookSecretHandler } from './commands/rotate-webhook-secret.ts'
import { SendTestWebhookHandler } from './commands/send-test-webhook.ts'
import { SetLimitsHandler } from './commands/set-limits.ts'
import { SignInHandler } from './commands/sign-in.ts'
import { SignOutHandler } from './commands/sign-out.ts'
import { SubmitJobHandler } from './commands/submit-job.ts'
import { ThrottleAccountHandler } from './commands/throttle-account.ts'
import { AccessGuard } from './http/access.ts'
import { AccountController } from './http/account.controller.ts'
import { AdminController } from './http/admin.controller.ts'
import { AnswerInterceptor } from './http/answer.interceptor.ts'
import { Authenticator } from './http/authenticator.ts'
import { DocsController } from './http/docs.controller.ts'
import { LimitsController } from './http/limits.controller.ts'
import { JobsController } from './http/jobs.controller.ts'
import { LedgerController } from './http/ledger.controller.ts'
import { MetaController } from './http/meta.controller.ts'
import { ProblemFilter } from './http/problem.filter.ts'
import { SessionController } from './http/session.controller.ts'
import { WebhooksController } from './http/webhooks.controller.ts'
import { Gateway } from './realtime/gateway.ts'
import { BalanceChannels } from './realtime/balance-channels.ts'
import { Channels } from './realtime/channels.ts'
import { JobChannels } from './realtime/job-channels.ts'
import { OrgChannels } from './realtime/org-channels.ts'
import { RUNTIME } from './runtime.ts'
import type { Runtime } from './runtime.ts'

/** The api. A new command adds its handler here, a new route its controller. */
@Module({})
export class AppModule {
  static of(runtime: Runtime): DynamicModule {
    return {
      module: AppModule,
      imports: [CqrsModule.forRoot()],
      controllers: [
        JobsController,
        AccountController,
        LedgerController,
        WebhooksController,
        AdminController,
        SessionController,
        LimitsController,
        MetaController,
        DocsController,
      ],
      providers: [
        { provide: RUNTIME, useValue: runtime },
        { provide: Authenticator, useFactory: () => new Authenticator(runtime) },
        { provide: APP_GUARD, useClass: AccessGuard },
        { provide: APP_INTERCEPTOR, useClass: AnswerInterceptor },
        { provide: APP_FILTER, useClass: ProblemFilter },
        JobChannels,
        OrgChannels,
        BalanceChannels,
        Channels,
        Gateway,
        AdjustCreditsHandler,
        BanAccountHandler,
        CancelJobHandler,
        CreateOrgHandler,
        EnableWebhookEndpointHandler,
        GrantCreditsHandler,
        IssueApiKeyHandler,
        PublishPriceHandler,
        RegisterWebhookEndpointHandler,
        RemoveWebhookEndpointHandler,
        ReplayWebhookDeliveryHandler,
        ReinstateAccountHandler,
        RetryJobHandler,
        RevokeApiKeyHandler,
        RotateWebhookSecretHandler,
        SendTestWebhookHandler,
        SetLimitsHandler,
        SignInHandler,
        SignOutHandler,
        SubmitJobHandler,
        ThrottleAccountHandler,
      ],
    }
  }
}
