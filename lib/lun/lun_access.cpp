// SPDX-License-Identifier: Apache-2.0
// A LUN whose store several gateways may own in turn (lib/backend/shared_store.h).
#include <fmt/format.h>

#include <cerrno>
#include <new>
#include <utility>

#include "lib/base/values.h"
#include "lib/lun/lun.h"

namespace ballast::lun {

void Lun::start_shared(void* self, std::int64_t) {
  Lun& lun = *static_cast<Lun*>(self);
  lun.backend_->shared()->start(lun);
}

void Lun::set_groups(scsi::TargetPortGroups groups) {
  groups_ = std::move(groups);
  if (disk_ != nullptr) {
    disk_->set_groups(groups_);
  }
}

// The initiator that has asked for the change gets no unit attention: Linux would wait for two
// seconds before it sends its next REPORT TARGET PORT GROUPS (ALUA_RTPG_RETRY_DELAY).
void Lun::access_changed(bool expected) {
  const backend::Access access = backend_->shared()->access();
  if (task_set_ == nullptr || access == backend::Access::transition) {
    return;
  }
  if (access == backend::Access::standby) {
    task_set_->end_all();
  }
  if (!expected) {
    disk_->post_unit_attention(scsi::asc::access_state_changed);
  }
}

void Lun::move(bool here, Done done) {
  if (backend_ == nullptr || leaving_.is_set()) {
    done(Error{EBUSY, "its store is not open: the log says what it waits for"});
    return;
  }
  if (backend_->shared() == nullptr) {
    done(Error{EOPNOTSUPP,
               fmt::format("{} is not shared with another gateway: only a LUN with lock=standby "
                           "or lock=pr can be {}",
                           store_, here ? "activated" : "put on standby")});
    return;
  }
  moves_.spawn("activate or standby", do_move(here, std::make_shared<Done>(std::move(done))));
}

co::Task<void> Lun::do_move(bool here, std::shared_ptr<Done> done) {
  backend::SharedStore& store = *backend_->shared();
  const TimePoint until = executor_.now() + move_patience;
  backend::Move ended = backend::Move::done;
  if (here) {
    ended = co_await store.take_over(backend::Asker::operator_, until);
  } else {
    ended = co_await store.give_back(backend::Asker::operator_, until);
  }
  try {
    (*done)(moved(here, ended));
  } catch (const std::bad_alloc&) {
    (*done)(Error{ENOMEM, "out of memory"});
  }
}

Result<void> Lun::moved(bool here, backend::Move ended) {
  const std::string trouble = backend_->shared()->trouble();
  switch (ended) {
    case backend::Move::done:
      return {};
    case backend::Move::under_way:
      return Error{ETIMEDOUT, fmt::format("{} after {}, but Ballast goes on with it{}",
                                          here ? "not yet active" : "not yet given back",
                                          config::format_duration(move_patience),
                                          trouble.empty() ? "" : ": " + trouble)};
    case backend::Move::held:
    case backend::Move::failed:
      break;
  }
  return Error{EIO, trouble.empty() ? "not taken over; the log says why" : trouble};
}

}  // namespace ballast::lun
