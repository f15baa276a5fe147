// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/fault.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "lib/backend/control_file.h"
#include "lib/backend/fault_rules.h"
#include "lib/backend/filter.h"
#include "lib/base/log.h"
#include "lib/co/event.h"
#include "lib/co/gate.h"
#include "lib/co/sleep.h"

namespace ballast::backend {
namespace {

class Fault final : public Filter {
 public:
  Fault(std::unique_ptr<Backend> inner, std::string path)
      : Filter{*inner},
        inner_{std::move(inner)},
        path_{std::move(path)},
        applied_{inner_->executor(), "frozen by a fault rule"},
        closing_{inner_->executor(), "delayed by a fault rule"},
        running_{inner_->executor(), "the last operation with faults"},
        control_{path_, FaultRules::longest_text,
                 [this](std::string text) { arrived(std::move(text)); }} {}

  void start() {
    apply(control_.read());
    if (const Result<void> watched = control_.start(); !watched) {
      log(LogLevel::error, "{}; the fault rules stay as they are", watched.error().message);
    }
  }

  std::string description() const override {
    return inner_->description() + " with faults from " + path_;
  }

  co::Task<IoStatus> read(Bytes offset, io::SgView to, co::CancelToken cancel) override;
  co::Task<IoStatus> write(Bytes offset, io::SgView from, Fua fua, co::CancelToken cancel) override;
  co::Task<IoStatus> write_once(Bytes offset, io::SgView from, Fua fua,
                                co::CancelToken cancel) override;
  co::Task<IoStatus> zero(Bytes offset, Bytes length, MayUnmap may_unmap,
                          co::CancelToken cancel) override;
  co::Task<IoStatus> discard(Bytes offset, Bytes length, co::CancelToken cancel) override;
  co::Task<IoStatus> flush(co::CancelToken cancel) override;
  co::Task<IoStatus> block_status(Bytes offset, Bytes length, std::size_t limit,
                                  std::vector<Extent>* out) override;
  co::Task<IoStatus> resize(Bytes size) override;
  co::Task<void> close() override;

 private:
  // The rule that applies to one operation, if any, and the operation's cancel token.
  struct Fate {
    FaultSubject subject;
    std::optional<FaultRule> rule;
    co::CancelToken cancel;

    // The token for the wrapped backend. Real storage that hangs cannot be cancelled, so under a
    // rule that is not cancellable the wrapped backend does not hear of it.
    co::CancelToken below() const {
      return rule.has_value() && !rule->cancellable ? co::CancelToken{} : cancel;
    }
  };
  Fate draw(OpKind kind, Bytes offset, Bytes length, co::CancelToken cancel);
  co::Task<IoStatus> with_faults(Fate fate, co::Task<IoStatus> operation);
  co::Task<IoStatus> suffer(FaultSubject subject, FaultRule rule, co::CancelToken cancel);

  void arrived(std::string text);  // on the watching thread
  bool message_is_coming();
  void take();  // on the executor
  void apply(const std::string& text);

  std::unique_ptr<Backend> inner_;
  const std::string path_;
  FaultRules rules_;
  co::Event applied_;  // set for a moment whenever rules were replaced, and by close()
  co::Event closing_;
  co::Gate running_;
  std::mutex mutex_;                // guards the next two
  std::optional<std::string> new_;  // the latest text that is not applied yet
  bool posted_ = false;             // a message that calls take() is on its way
  ControlFile control_;             // last: its thread uses the members above
};

Fault::Fate Fault::draw(OpKind kind, Bytes offset, Bytes length, co::CancelToken cancel) {
  const std::uint64_t block = geometry().logical_block.value();
  const FaultSubject subject{kind, Lba{offset.value() / block}, BlockCount{length.value() / block}};
  return Fate{subject, rules_.draw(subject), cancel};
}

// Returns ok if the operation goes on; any other status is its answer.
co::Task<IoStatus> Fault::suffer(FaultSubject subject, FaultRule rule, co::CancelToken cancel) {
  switch (rule.effect) {
    case FaultRule::Effect::error:
      co_return rule.error_of(subject.kind);
    case FaultRule::Effect::block:
      std::this_thread::sleep_for(rule.delay);
      co_return IoStatus::ok;
    case FaultRule::Effect::delay: {
      if (rule.stubborn) {
        co_await co::sleep_for(executor(), rule.delay);
        co_return IoStatus::ok;
      }
      const bool closing = co_await closing_.wait_until(executor().now() + rule.delay, cancel);
      co_return closing || cancel.requested() ? IoStatus::cancelled : IoStatus::ok;
    }
    case FaultRule::Effect::freeze:
      break;
  }
  for (;;) {
    // Before each wait: an operation may come back from below when close() has already begun.
    if (cancel.requested() || (closing_.is_set() && !rule.stubborn)) {
      co_return IoStatus::cancelled;
    }
    (void)co_await applied_.wait(cancel);
    if (!rules_.freezes(subject, rule.after)) {
      co_return IoStatus::ok;
    }
  }
}

co::Task<IoStatus> Fault::with_faults(Fate fate, co::Task<IoStatus> operation) {
  const co::Gate::Guard inside{running_};
  const std::optional<FaultRule>& rule = fate.rule;
  if (rule.has_value() && !rule->after) {
    const IoStatus before =
        co_await suffer(fate.subject, *rule, rule->cancellable ? fate.cancel : co::CancelToken{});
    if (!ok(before)) {
      co_return before;
    }
  }
  const IoStatus status = co_await std::move(operation);
  if (rule.has_value() && rule->after) {
    const IoStatus after = co_await suffer(fate.subject, *rule, {});
    if (after == IoStatus::medium_error) {
      co_return after;
    }
  }
  co_return status;
}

co::Task<IoStatus> Fault::read(Bytes offset, io::SgView to, co::CancelToken cancel) {
  const Fate fate = draw(OpKind::read, offset, Bytes{to.size()}, cancel);
  return with_faults(fate, inner_->read(offset, to, fate.below()));
}

co::Task<IoStatus> Fault::write(Bytes offset, io::SgView from, Fua fua, co::CancelToken cancel) {
  const Fate fate = draw(OpKind::write, offset, Bytes{from.size()}, cancel);
  return with_faults(fate, inner_->write(offset, from, fua, fate.below()));
}

co::Task<IoStatus> Fault::write_once(Bytes offset, io::SgView from, Fua fua,
                                     co::CancelToken cancel) {
  const Fate fate = draw(OpKind::write, offset, Bytes{from.size()}, cancel);
  return with_faults(fate, inner_->write_once(offset, from, fua, fate.below()));
}

co::Task<IoStatus> Fault::zero(Bytes offset, Bytes length, MayUnmap may_unmap,
                               co::CancelToken cancel) {
  const Fate fate = draw(OpKind::zero, offset, length, cancel);
  return with_faults(fate, inner_->zero(offset, length, may_unmap, fate.below()));
}

co::Task<IoStatus> Fault::discard(Bytes offset, Bytes length, co::CancelToken cancel) {
  const Fate fate = draw(OpKind::discard, offset, length, cancel);
  return with_faults(fate, inner_->discard(offset, length, fate.below()));
}

co::Task<IoStatus> Fault::flush(co::CancelToken cancel) {
  const Fate fate = draw(OpKind::flush, Bytes{}, Bytes{}, cancel);
  return with_faults(fate, inner_->flush(fate.below()));
}

co::Task<IoStatus> Fault::block_status(Bytes offset, Bytes length, std::size_t limit,
                                       std::vector<Extent>* out) {
  const std::size_t before = out->size();
  const Fate fate = draw(OpKind::block_status, offset, length, {});
  co::Task<IoStatus> operation = inner_->block_status(offset, length, limit, out);
  const IoStatus status = co_await with_faults(fate, std::move(operation));
  if (!ok(status)) {
    out->resize(before, Extent{});
  }
  co_return status;
}

co::Task<IoStatus> Fault::resize(Bytes size) {
  const Fate fate = draw(OpKind::resize, Bytes{}, Bytes{}, {});
  return with_faults(fate, inner_->resize(size));
}

co::Task<void> Fault::close() {
  running_.close();
  closing_.set();
  applied_.set();
  applied_.reset();
  co_await running_.drain();
  control_.request_stop();
  // The watching thread's last message points to this object, and may wait for room in the
  // executor's mailbox. It must have come before this object is destroyed, and this thread must not
  // block for it.
  while (control_.running() || message_is_coming()) {
    co_await co::sleep_for(executor(), std::chrono::milliseconds{1});
  }
  control_.stop();
  co_await inner_->close();
}

// --- the control file ----------------------------------------------------------------------------

void Fault::arrived(std::string text) {
  bool post = false;
  {
    const std::lock_guard lock{mutex_};
    new_ = std::move(text);
    post = !std::exchange(posted_, true);
  }
  if (post) {
    const auto take_it = [](void* self, std::int64_t) { static_cast<Fault*>(self)->take(); };
    executor().post(co::Message{.run = take_it, .context = this, .waker = {}, .site = {}});
  }
}

bool Fault::message_is_coming() {
  const std::lock_guard lock{mutex_};
  return posted_;
}

void Fault::take() {
  std::optional<std::string> text;
  {
    const std::lock_guard lock{mutex_};
    text = std::exchange(new_, std::nullopt);
    posted_ = false;
  }
  if (text.has_value()) {
    apply(*text);
  }
}

void Fault::apply(const std::string& text) {
  Result<FaultRules> rules = FaultRules::parse(text);
  if (!rules) {
    log(LogLevel::error, "{}: {}; the fault rules stay as they are", path_, rules.error().message);
    return;
  }
  rules_ = std::move(rules).value();
  log(LogLevel::warning, "{}: {} fault rules apply to {}", path_, rules_.size(),
      inner_->description());
  applied_.set();
  applied_.reset();
}

}  // namespace

Result<void> check_fault_control(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) == 0) {
    if (!S_ISREG(status.st_mode)) {
      return Error{EINVAL, fmt::format("key fault: {} is not a regular file", path)};
    }
    if (::access(path.c_str(), R_OK) != 0) {
      return Error{errno, fmt::format("key fault: no permission to read {}", path)};
    }
    return {};
  }
  const int why = errno;
  const std::string folder = path.substr(0, path.find_last_of('/') + 1);
  if (why != ENOENT || ::access(folder.c_str(), X_OK) != 0) {
    return Error{why, fmt::format("key fault: {} cannot be reached: {}", path, std::strerror(why))};
  }
  return {};
}

std::unique_ptr<Backend> make_fault(std::unique_ptr<Backend> inner, std::string path) {
  auto fault = std::make_unique<Fault>(std::move(inner), std::move(path));
  fault->start();
  return fault;
}

}  // namespace ballast::backend
