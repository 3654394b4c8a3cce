/** What the events room tells the rest of the house; compose hands in who listens. `endpoint` is the receiver's name. */
export type NotificationEvent =
  /** So many were taken up, to be told to the endpoint. */
  | { readonly kind: 'notifications-taken'; readonly endpoint: string; readonly count: number }
  /** So many will never be told: the oldest, where too many waited. */
  | { readonly kind: 'notifications-dropped'; readonly endpoint: string; readonly count: number }
  /** The endpoint answered; what is not accepted is told again. */
  | { readonly kind: 'notification-answered'; readonly endpoint: string; readonly status: number; readonly accepted: boolean }
  /** The endpoint gave no answer, or none in time; the event is told again. */
  | { readonly kind: 'notification-unanswered'; readonly endpoint: string; readonly error: unknown }
  /** The metadata store could not be asked; it is asked again. */
  | { readonly kind: 'notifications-unreachable'; readonly error: unknown };

export type ReportNotifications = (event: NotificationEvent) => void;
