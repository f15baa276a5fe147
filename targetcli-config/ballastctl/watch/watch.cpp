// SPDX-License-Identifier: Apache-2.0
// ballastctl watch: the loop, one of GLib, around the sources of watch.h.
#include "targetcli-config/ballastctl/watch/watch.h"

#include <fmt/format.h>
#include <gio/gio.h>
#include <glib-unix.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <memory>

#include "lib/base/values.h"
#include "lib/watch/bus.h"
#include "targetcli-config/ballastctl/commands.h"
#include "targetcli-config/ballastctl/text/output.h"
#include "targetcli-config/ballastctl/watch/incidents.h"
#include "targetcli-config/ballastctl/watch/journal.h"
#include "targetcli-config/ballastctl/watch/netlink.h"

namespace ballast::ctl {
namespace {

using namespace watch_events;

constexpr const char* daemon_name = "org.kernel.TCMUService1";
constexpr int patience_ms = 15'000;  // tcmu-runner may be opening a LUN

struct Options {
  std::string period;
  bool json = false;
  bool journal = false;
  std::string incidents;
};

// All of this runs in one GLib main loop, on one thread. run() returns after every call has ended.
class Watch {
 public:
  Watch(const Files& files, const Options& options)
      : states_{files},
        options_{options},
        incident_file_{options.incidents},
        loop_{g_main_loop_new(nullptr, FALSE)},
        stop_{g_cancellable_new()} {}
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;
  ~Watch() {
    g_main_loop_unref(loop_);
    g_object_unref(stop_);
  }

  // Runs until a signal comes, or for `period`, if there is one.
  void run(std::optional<Nanoseconds> period) {
    add_source(g_unix_signal_add(SIGINT, &Watch::on_end, this));
    add_source(g_unix_signal_add(SIGTERM, &Watch::on_end, this));
    if (period) {
      const auto ms = std::chrono::ceil<std::chrono::milliseconds>(*period).count();
      add_source(g_timeout_add(static_cast<guint>(ms), &Watch::on_end, this));
    }
    watch_bus();
    if (!options_.journal) {
      try_initiator(true);
    }
    on_second();
    add_source(g_timeout_add_seconds(
        1, [](gpointer self) -> gboolean { return static_cast<Watch*>(self)->on_second(); }, this));
    g_main_loop_run(loop_);
    incidents_.watch_ends(unix_ns());
    write_incidents();
    close();
    if (bus_lost_) {
      fail("the D-Bus system bus has closed the connection: see systemctl status dbus");
    }
  }

 private:
  void add_source(guint source) { sources_.push_back(source); }

  static gboolean on_end(gpointer self) {
    g_main_loop_quit(static_cast<Watch*>(self)->loop_);
    return G_SOURCE_CONTINUE;  // removed in close()
  }

  void close() {
    for (const guint source : sources_) {
      g_source_remove(source);
    }
    leave_target();
    if (initiator_source_ != 0) {
      g_source_remove(initiator_source_);
    }
    for (const guint name : {daemon_watch_, plugin_watch_}) {
      if (name != 0) {
        g_bus_unwatch_name(name);
      }
    }
    if (signals_ != 0) {
      g_dbus_connection_signal_unsubscribe(bus_, signals_);
    }
    g_cancellable_cancel(stop_);
    while (calls_ > 0) {
      g_main_context_iteration(nullptr, TRUE);
    }
    if (bus_ != nullptr) {
      g_signal_handler_disconnect(bus_, closed_);
      g_object_unref(bus_);
    }
  }

  static std::int64_t unix_ns() {
    return std::chrono::duration_cast<Nanoseconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
  }

  void say(const std::vector<Event>& events) {
    const std::int64_t now = unix_ns();
    for (const Event& event : events) {
      if (options_.journal) {
        note_once(journal::write(event), &journal_noted_);
      } else {
        const std::string line = options_.json ? as_json(event, now) : as_text(event, now);
        std::fputs(line.c_str(), stdout);
      }
      incidents_.take(event, now);
    }
    write_incidents();
    if (!events.empty() && std::fflush(stdout) != 0) {
      g_main_loop_quit(loop_);  // nobody reads the output; finish_output() says so
    }
  }

  void write_incidents() {
    for (const incidents::Incident& incident : incidents_.ended()) {
      if (!options_.incidents.empty()) {
        note_once(incident_file_.append(incident), &incidents_noted_);
      }
    }
  }

  // Says what is wrong when it begins to be.
  static void note_once(const Result<void>& result, bool* noted) {
    if (!result.ok() && !*noted) {
      note(result.error().message);
    }
    *noted = !result.ok();
  }

  static void note(const std::string& sentence) {
    fmt::print(stderr, "ballastctl: note: {}\n", printable(sentence));
  }

  // --- the target ---
  void watch_bus() {
    GError* error = nullptr;
    bus_ = g_bus_get_sync(G_BUS_TYPE_SYSTEM, nullptr, &error);
    if (bus_ == nullptr) {
      note(fmt::format(
          "events of the target are not shown: the D-Bus system bus cannot be reached: {}",
          error->message));
      g_error_free(error);
      return;
    }
    g_dbus_connection_set_exit_on_close(bus_, FALSE);
    closed_ = g_signal_connect(bus_, "closed", G_CALLBACK(&Watch::on_bus_closed), this);
    daemon_watch_ = g_bus_watch_name_on_connection(
        bus_, daemon_name, G_BUS_NAME_WATCHER_FLAGS_NONE,
        [](GDBusConnection*, const gchar*, const gchar*, gpointer self) {
          static_cast<Watch*>(self)->join_target();
        },
        [](GDBusConnection*, const gchar*, gpointer self) {
          static_cast<Watch*>(self)->daemon_gone();
        },
        this, nullptr);
    plugin_watch_ = g_bus_watch_name_on_connection(
        bus_, watch::bus::name, G_BUS_NAME_WATCHER_FLAGS_NONE,
        [](GDBusConnection*, const gchar*, const gchar*, gpointer self) {
          static_cast<Watch*>(self)->plugin_ = true;
        },
        [](GDBusConnection*, const gchar*, gpointer self) {
          static_cast<Watch*>(self)->plugin_gone();
        },
        this, nullptr);
    // The bus knows the rule before the first question comes to the plugin, so no stall is missed
    // between the two.
    signals_ = g_dbus_connection_signal_subscribe(
        bus_, watch::bus::name, watch::bus::name, nullptr, watch::bus::object_path, nullptr,
        G_DBUS_SIGNAL_FLAGS_NONE,
        [](GDBusConnection*, const gchar*, const gchar*, const gchar*, const gchar*,
           GVariant* arguments, gpointer self) {
          if (g_variant_is_of_type(arguments, G_VARIANT_TYPE("(ss)")) != FALSE) {
            const gchar* document = nullptr;
            g_variant_get_child(arguments, 1, "&s", &document);
            auto* const watch = static_cast<Watch*>(self);
            watch->say(watch->luns_.take_signal(document));
          }
        },
        this, nullptr);
  }

  static void on_bus_closed(GDBusConnection*, gboolean, GError*, gpointer self) {
    static_cast<Watch*>(self)->bus_lost_ = true;
    g_main_loop_quit(static_cast<Watch*>(self)->loop_);
  }

  void join_target() {
    if (std::exchange(daemon_known_, true)) {
      say({{"daemon_started", "tcmu-runner", "is on the bus"}});
    }
    if (options_.journal) {
      return;  // a service does not make the kernel wait for its listeners
    }
    Result<std::unique_ptr<Socket>> socket = Socket::of_target();
    if (!socket) {
      note("new and removed backstores are not shown: " + socket.error().message);
      return;
    }
    target_ = std::move(socket).value();
    target_source_ = g_unix_fd_add(
        target_->descriptor(), G_IO_IN,
        [](gint, GIOCondition, gpointer self) -> gboolean {
          auto* const watch = static_cast<Watch*>(self);
          watch->say(watch->target_->take({}));
          return G_SOURCE_CONTINUE;
        },
        this);
  }

  void leave_target() {
    if (target_source_ != 0) {
      g_source_remove(std::exchange(target_source_, 0U));
    }
    target_.reset();
  }

  void daemon_gone() {
    leave_target();
    incidents_.daemon_ended(unix_ns());
    write_incidents();
    if (std::exchange(daemon_known_, true)) {
      say({{"daemon_ended", "tcmu-runner", "has left the bus"}});
    } else {
      note("events of the target are not shown while tcmu-runner is not running");
    }
  }

  void plugin_gone() {
    if (plugin_) {
      luns_.forget();
      incidents_.daemon_ended(unix_ns());
      write_incidents();
    } else if ((target_ || options_.journal) && daemon_known_ &&
               !std::exchange(plugin_noted_, true)) {
      note("stalls and slow requests are not shown: tcmu-runner has not loaded handler_ballast.so");
    }
    plugin_ = false;
  }

  // `lun`: the argument of the method; null if the method takes none.
  void ask(const char* method, const char* lun, bool& pending, GAsyncReadyCallback done) {
    if (!plugin_ || pending) {
      return;  // one question at a time: the last answer may be late
    }
    pending = true;
    calls_++;
    GVariant* const arguments = lun == nullptr ? nullptr : g_variant_new("(s)", lun);
    g_dbus_connection_call(bus_, watch::bus::name, watch::bus::object_path, watch::bus::name,
                           method, arguments, G_VARIANT_TYPE("(s)"),
                           G_DBUS_CALL_FLAGS_NO_AUTO_START, patience_ms, stop_, done, this);
  }

  // Returns "" if there is no answer.
  std::string answer(GAsyncResult* result, bool& pending) {
    pending = false;
    calls_--;
    GError* error = nullptr;
    GVariant* const reply = g_dbus_connection_call_finish(bus_, result, &error);
    if (reply == nullptr) {
      const bool ended = g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
      if (!ended && plugin_ && !std::exchange(silent_noted_, true)) {
        note(fmt::format("tcmu-runner does not answer: {}", error->message));
      }
      g_error_free(error);
      return {};
    }
    silent_noted_ = false;
    const gchar* text = nullptr;
    g_variant_get(reply, "(&s)", &text);
    std::string copy{text};
    g_variant_unref(reply);
    return copy;
  }

  // --- the initiator ---
  void try_initiator(bool first) {
    if (initiator_) {
      return;
    }
    Result<std::unique_ptr<Socket>> socket = Socket::of_initiator();
    if (!socket) {
      if (first) {
        note("events of an initiator are not shown: " + socket.error().message);
      }
      return;
    }
    initiator_ = std::move(socket).value();
    initiator_source_ = g_unix_fd_add(
        initiator_->descriptor(), G_IO_IN,
        [](gint, GIOCondition, gpointer self) -> gboolean {
          auto* const watch = static_cast<Watch*>(self);
          watch->say(watch->initiator_->take(watch->states_.targets()));
          watch->say(watch->states_.look());
          return G_SOURCE_CONTINUE;
        },
        this);
  }

  gboolean on_second() {
    if (!options_.journal) {
      try_initiator(false);
    }
    say(states_.look());
    ask(watch::bus::list.name, nullptr, list_pending_,
        [](GObject*, GAsyncResult* result, gpointer self) {
          auto* const watch = static_cast<Watch*>(self);
          if (const std::string text = watch->answer(result, watch->list_pending_); !text.empty()) {
            watch->incidents_.take_list(text, unix_ns());
            watch->say(watch->luns_.take_list(text));
          }
        });
    ask(watch::bus::slow.name, "", slow_pending_,
        [](GObject*, GAsyncResult* result, gpointer self) {
          auto* const watch = static_cast<Watch*>(self);
          if (const std::string text = watch->answer(result, watch->slow_pending_); !text.empty()) {
            watch->say(watch->luns_.take_slow(text));
          }
        });
    if (incidents_.wants_stats(unix_ns())) {
      ask(watch::bus::stats.name, "", stats_pending_,
          [](GObject*, GAsyncResult* result, gpointer self) {
            auto* const watch = static_cast<Watch*>(self);
            if (const std::string text = watch->answer(result, watch->stats_pending_);
                !text.empty()) {
              watch->incidents_.take_stats(text, unix_ns());
              watch->write_incidents();
            }
          });
    }
    return G_SOURCE_CONTINUE;
  }

  StateWatcher states_;
  LunWatcher luns_;
  incidents::IncidentWatcher incidents_;
  const Options options_;
  const incidents::IncidentFile incident_file_;
  GMainLoop* const loop_;
  GCancellable* const stop_;
  std::vector<guint> sources_;
  GDBusConnection* bus_ = nullptr;
  guint daemon_watch_ = 0, plugin_watch_ = 0, signals_ = 0;
  gulong closed_ = 0;
  bool bus_lost_ = false;
  guint target_source_ = 0, initiator_source_ = 0;
  std::unique_ptr<Socket> target_, initiator_;
  bool daemon_known_ = false;  // whether tcmu-runner runs was found out once
  bool plugin_ = false;
  bool plugin_noted_ = false, silent_noted_ = false;
  bool journal_noted_ = false, incidents_noted_ = false;
  bool list_pending_ = false, slow_pending_ = false, stats_pending_ = false;
  int calls_ = 0;  // D-Bus calls that have not ended
};

}  // namespace

void add_watch(CLI::App& app) {
  CLI::App* const command = app.add_subcommand(
      "watch",
      "print a line for each event until ^C: stalls, slow requests, LUNs, sessions, disks");
  const auto options = std::make_shared<Options>();
  command->add_option("--for", options->period, "end after this time: 90s, 10min")
      ->type_name("DURATION");
  CLI::Option* const journal = command->add_flag(
      "--journal", options->journal,
      "write the events to the systemd journal instead, as ballast-watch.service does");
  command
      ->add_option("--incidents", options->incidents,
                   "append a line for each stall of a LUN to this file, for ballastctl history")
      ->type_name("FILE");
  add_json_flag(*command, options->json);
  command->get_option("--json")->excludes(journal);
  command->callback([options] {
    std::optional<Nanoseconds> period;
    if (!options->period.empty()) {
      const Result<Nanoseconds> parsed = config::parse_duration("--for", options->period);
      if (!parsed) {
        throw CLI::ValidationError(parsed.error().message);
      }
      if (parsed.value() > std::chrono::hours{24 * 30}) {
        throw CLI::ValidationError(fmt::format("--for is {}: at most 720h", options->period));
      }
      period = parsed.value();
    }
    const Files files = Files::of_this_machine();
    Watch{files, *options}.run(period);
  });
}

}  // namespace ballast::ctl
