// SPDX-License-Identifier: Apache-2.0
// Requests of other threads, which are the daemon's main thread and the D-Bus object; and what the
// LUN tells the bus on its own account.
#include <fmt/format.h>

#include <cerrno>
#include <memory>
#include <new>
#include <optional>
#include <utility>

#include "handler/configuration.h"
#include "handler/device.h"
#include "handler/signals.h"
#include "lib/base/values.h"
#include "lib/lun/ask.h"

namespace ballast::handler {

Result<void> Device::resize(Bytes size) {
  using Asked = lun::Asked<void>;
  const std::optional<Result<void>> done = lun::ask<void>(
      executor_, reconfiguration_limit, [this, size](const std::shared_ptr<Asked>& asked) {
        lun_->resize(size, [asked](Result<void> result) { asked->answer(std::move(result)); });
      });
  if (!done.has_value()) {
    return Error{
        ETIMEDOUT,
        fmt::format("the resize to {} bytes has not ended after {}; it goes on in the background, "
                    "unless you set another size; set the size again when the storage answers",
                    size.value(), config::format_duration(reconfiguration_limit))};
  }
  return *done;
}

Result<void> Device::reconfigure(std::string_view daemon_string) {
  Result<lun::LunConfig> wanted = changed_configuration(profiles_, daemon_string);
  if (!wanted) {
    return wanted.error();
  }
  using Asked = lun::Asked<void>;
  const std::optional<Result<void>> done = lun::ask<void>(
      executor_, reconfiguration_limit,
      [this, config = std::move(wanted).value()](const std::shared_ptr<Asked>& asked) {
        Result<void> changed = lun_->reconfigure(config);
        if (changed) {
          watch_->set_poll(config.poll);
          time_out_refused_.reset();
          cmd_time_out_ = -1;  // so that look_at_attributes() applies and logs it again
          look_at_attributes();
        }
        asked->answer(std::move(changed));
      });
  if (!done.has_value()) {
    return Error{
        ETIMEDOUT,
        fmt::format(
            "the change to \"{}\" has not been made after {}; Ballast makes it as soon as it can",
            daemon_string, config::format_duration(reconfiguration_limit))};
  }
  return *done;
}

void Device::move(bool here, std::function<void(Result<void>)> done) {
  if (executor_.mailbox().is_crowded()) {
    done(lun::turned_away());
    return;
  }
  lun::tell(
      executor_, [this, here, done] { lun_->move(here, done); }, done);
}

void Device::write_log_back(bool lets_go, std::function<void(Result<watch::LunSnapshot>)> done) {
  if (executor_.mailbox().is_crowded()) {
    done(lun::turned_away());
    return;
  }
  lun::tell(
      executor_,
      [this, lets_go, done] {
        const Result<void> begun = lun_->write_log_back(lets_go);
        if (begun) {
          lun_->inspect({}, {}, done);
        } else {
          done(begun.error());
        }
      },
      done);
}

bool Device::snapshot(const watch::Lists& lists, watch::LunSnapshot* into, Nanoseconds patience) {
  using Asked = lun::Asked<watch::LunSnapshot>;
  std::optional<Result<watch::LunSnapshot>> answer = lun::ask<watch::LunSnapshot>(
      executor_, patience, [this, lists, patience](const std::shared_ptr<Asked>& asked) {
        const auto told = [asked, mailbox = ring_->mailbox(),
                           times_stuck =
                               watched_->times_stuck()](Result<watch::LunSnapshot> snapshot) {
          if (snapshot) {
            snapshot.value().mailbox = mailbox;
            snapshot.value().times_stuck = times_stuck;
          }
          asked->answer(std::move(snapshot));
        };
        lun_->inspect(lists, patience / 2, told);
      });
  if (!answer.has_value() || !answer->ok()) {
    return false;
  }
  *into = std::move(*answer).value();
  return true;
}

// `oldest`: null if the LUN has recovered.
void Device::tell_stall(const watch::CommandRecord* oldest) noexcept {
  try {
    watch::StallNews news;
    lun_->describe({}, &news.lun);
    if (oldest != nullptr) {
      news.oldest = *oldest;
      stall_ = {news.lun.now, news.lun.counters, watch::all_store_errors(news.lun)};
    }
    news.begin = stall_;
    signal_stall(std::move(news));
  } catch (const std::bad_alloc&) {
    // Who listens sees it a second later, in the answer to List.
  }
}

}  // namespace ballast::handler
