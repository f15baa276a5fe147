// SPDX-License-Identifier: Apache-2.0
#include "targetcli-config/ballastctl/machine/timeline.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "lib/base/assert.h"

namespace ballast::ctl::timeline {

namespace {

constexpr Nanoseconds nothing{};

Nanoseconds sum(Nanoseconds a, Nanoseconds b) {
  BALLAST_ASSERT(a >= nothing);
  BALLAST_ASSERT(b >= nothing);
  return a > for_ever - b ? for_ever : a + b;
}

Nanoseconds product(Nanoseconds time, std::int64_t factor) {
  BALLAST_ASSERT(time >= nothing);
  BALLAST_ASSERT(factor > 0);
  return time > for_ever / factor ? for_ever : time * factor;
}

std::string seconds(Nanoseconds time) {
  return fmt::format("{:g} s", static_cast<double>(time.count()) / 1e9);
}

// The first BUSY after this time fails the command.
Nanoseconds busy_budget(const Settings& settings) {
  if (settings.max_retries < 0) {
    return for_ever;
  }
  return product(settings.timeout, std::int64_t{settings.max_retries} + 1);
}

bool checks_connection(const Settings& settings) {
  return settings.noop_out_interval > nothing || settings.noop_out_timeout > nothing;
}

Event sent() {
  return {
      nothing, What::sent, "The command is sent, and its LUN freezes.",
      "They go on as before, unless the commands waiting here fill the session's command window."};
}

Event connection_checked(const Settings& settings) {
  return {settings.timeout, What::connection_checked,
          fmt::format("The SCSI timeout has passed. A NOP shows the initiator that the connection "
                      "works, so it gives the command another {}.",
                      seconds(settings.timeout)),
          "They notice nothing of it."};
}

// The steps of the error handler for a command that is never answered.
struct Escalation {
  Nanoseconds begins;
  Nanoseconds abort_given_up;
  bool aborts;           // eh_deadline leaves time for ABORT TASK
  bool waits_for_login;  // eh_deadline also leaves time for the session to come back
};

Escalation escalation(const Settings& settings) {
  const Nanoseconds begins = error_handler_begins(settings);
  const Nanoseconds given_up = sum(begins, settings.abort_timeout);
  const Nanoseconds deadline =
      settings.eh_deadline ? sum(settings.timeout, *settings.eh_deadline) : for_ever;
  return {begins, given_up, deadline > begins, deadline > given_up};
}

Event disk_offline(Nanoseconds at, bool session_lives) {
  return {at, What::disk_offline,
          "eh_deadline has passed. The kernel leaves out the rest of the error handler, and sets "
          "the disk offline until somebody sets it running.",
          session_lives ? "The session lives, and they go on once the error handler is done."
                        : "They stay blocked until the session is logged in again."};
}

Event io_error(Nanoseconds at, std::string sentence, std::string others) {
  return {at, What::io_error, std::move(sentence), std::move(others)};
}

}  // namespace

const char* to_string(What what) noexcept {
  switch (what) {
    case What::sent:
      return "sent";
    case What::connection_checked:
      return "connection checked";
    case What::busy:
      return "BUSY";
    case What::error_handler:
      return "error handler";
    case What::session_dropped:
      return "session dropped";
    case What::disk_offline:
      return "disk offline";
    case What::io_error:
      return "I/O error";
  }
  return "unknown event";
}

Nanoseconds error_handler_begins(const Settings& settings) {
  return product(settings.timeout, checks_connection(settings) ? 2 : 1);
}

std::vector<Event> unanswered(const Settings& settings) {
  std::vector<Event> events;
  events.push_back(sent());
  if (checks_connection(settings)) {
    events.push_back(connection_checked(settings));
  }
  const Escalation step = escalation(settings);
  if (!step.aborts) {
    events.push_back({step.begins, What::error_handler,
                      "The error handler begins; eh_deadline leaves no time for an ABORT TASK.",
                      "Their commands wait while the error handler runs."});
    events.push_back(disk_offline(step.begins, true));
    events.push_back(io_error(step.begins, "Every command of this disk fails with an I/O error.",
                              "They have no error."));
    return events;
  }
  events.push_back(
      {step.begins, What::error_handler,
       fmt::format("The error handler begins. It sends ABORT TASK and waits {} for the answer, "
                   "which LIO gives only when the command itself has ended.",
                   seconds(settings.abort_timeout)),
       "They go on for the moment."});
  events.push_back({step.abort_given_up, What::session_dropped,
                    "The initiator drops the session (error 1021, SCSI_EH_SESSION_RST). A target "
                    "that waits for the command lets nobody log in until the LUN thaws.",
                    "All of them are blocked: there is one session for all."});
  if (!step.waits_for_login) {
    events.push_back(disk_offline(step.abort_given_up, false));
    events.push_back(io_error(
        step.abort_given_up, "Every command of this disk fails with an I/O error.",
        settings.replacement_timeout ? "Theirs fail as well when replacement_timeout has passed."
                                     : "They wait for the session."));
    return events;
  }
  if (settings.replacement_timeout) {
    events.push_back(
        io_error(sum(step.abort_given_up, *settings.replacement_timeout),
                 fmt::format("The session has not come back for {} (replacement_timeout). The disk "
                             "goes offline, and every waiting command fails with an I/O error.",
                             seconds(*settings.replacement_timeout)),
                 "All of them fail with an I/O error as well, although their storage is healthy."));
  }
  return events;
}

std::vector<Event> answered_busy(const Settings& settings, Nanoseconds deadline) {
  BALLAST_ASSERT(deadline > nothing);
  if (deadline >= error_handler_begins(settings)) {
    return unanswered(settings);
  }
  std::vector<Event> events;
  events.push_back(sent());
  if (deadline >= settings.timeout) {
    events.push_back(connection_checked(settings));
  }
  const Nanoseconds budget = busy_budget(settings);
  if (deadline < budget) {
    events.push_back(
        {deadline, What::busy,
         fmt::format("The target answers BUSY. The initiator sends the command again and counts no "
                     "retry. This repeats every {}, {}.",
                     seconds(deadline),
                     budget == for_ever ? std::string{"for as long as the freeze lasts"}
                                        : fmt::format("until {} have passed", seconds(budget))),
         "They go on: a frozen LUN keeps no more than its share of the command window."});
  }
  if (budget != for_ever) {
    events.push_back(io_error(
        budget,
        fmt::format("{} x {} s, (max_retries + 1) x timeout, have passed. The next BUSY fails the "
                    "command with an I/O error.",
                    settings.max_retries + 1, static_cast<double>(settings.timeout.count()) / 1e9),
        "They go on; the session lives."));
  }
  return events;
}

namespace {

Nanoseconds first_error(const std::vector<Event>& events) {
  const auto error = std::ranges::find(events, What::io_error, &Event::what);
  return error == events.end() ? for_ever : error->at;
}

}  // namespace

Nanoseconds survives(const Settings& settings, Nanoseconds deadline) {
  return first_error(answered_busy(settings, deadline));
}

Nanoseconds survives_unanswered(const Settings& settings) {
  return first_error(unanswered(settings));
}

}  // namespace ballast::ctl::timeline
