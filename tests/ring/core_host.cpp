// SPDX-License-Identifier: Apache-2.0
// A process that has the plugin and LUNs, and waits to be killed: for core_test and core_sweep. It
// answers on the bus, so that a live and a dead one can be compared.
//
// The LUNs' files are made in the working folder, as the core file is.
//
//   core_host frozen LUNS COMMANDS   the stores are frozen, with so many commands each
//   core_host stores NBD…            one LUN whose store is frozen behind a write log that has
//                                    changes; and one for each socket of an NBD server, of which
//                                    the last one is read from now and then
//   core_host load LUNS              all LUNs work without a pause; the last one has a write log
//
// Each says "ready".
//
// Of the frozen LUNs, the second one lets its commands become orphans, and their initiator repeats
// one of them. The third holds no more than its share.
#include <glib.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "lib/base/assert.h"
#include "tests/ring/support.h"

using namespace ballast::ring_test;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t block_size = 512;
constexpr std::uint32_t blocks = 8;
constexpr std::size_t second = 1;
constexpr std::size_t third = 2;

std::string here(const std::string& name) {
  return (std::filesystem::current_path() / name).string();
}

constexpr const char* patient = ";deadline=5min;stall_after=500ms;stall_window=1000";
constexpr const char* impatient = ";deadline=1s;slow=400ms;stall_after=500ms;stall_window=1000";
constexpr const char* with_share = ";deadline=5min;stall_after=500ms";

std::string configuration(std::size_t number, const std::string& keys) {
  return "file=" + here("vol" + std::to_string(number) + ".raw") + keys;
}

std::string freezable(std::size_t number, const char* keys) {
  return configuration(number, keys + (";fault=" + here("faults")));
}

std::unique_ptr<Lun> add(std::size_t number, const std::string& config) {
  const std::string name = "vol" + std::to_string(number);
  const std::string serial = "serial " + name;
  LunOptions options;
  options.name = name;
  options.unit_serial = serial.c_str();
  options.data_pages = 512;
  auto lun = Lun::add(config, options);
  if (lun == nullptr) {
    std::fputs(take_log().c_str(), stderr);
  }
  BALLAST_ASSERT(lun != nullptr);
  BALLAST_ASSERT(eventually([&] { return lun->execute(test_unit_ready()).status == 0; }));
  return lun;
}

// A log needs O_DIRECT, and a label needs extended attributes.
bool may_log() {
  return has_direct_io(here("").c_str()) && has_attributes(here("").c_str());
}

std::string with_log(std::size_t number) {
  return ";log=" + here("log" + std::to_string(number)) + ";log_size=256MiB";
}

[[noreturn]] void wait_for_the_end() {
  std::puts("ready");
  std::fflush(stdout);
  g_main_loop_run(g_main_loop_new(nullptr, FALSE));
  std::exit(0);
}

void nothing(void*, const Answer&) {}
constexpr Done nobody{&nothing, nullptr};

// Every third command reads; the others write, and overlap by twos.
void send(Lun& lun, std::size_t commands, std::vector<std::byte>& data, const Done& done = nobody) {
  for (std::size_t i = 0; i < commands; ++i) {
    const bool reads = i % 3 == 2;
    const std::uint64_t lba = i / 2 * blocks;
    BALLAST_ASSERT(lun.submit(reads ? read_16(lba, blocks) : write_16(lba, blocks),
                              reads ? Direction::from_device : Direction::to_device, data, done));
  }
}

int freeze(std::size_t luns, std::size_t commands) {
  std::ofstream{here("faults")} << "all freeze stubborn\n";
  std::vector<std::unique_ptr<Lun>> all;
  for (std::size_t i = 0; i < luns; ++i) {
    all.push_back(add(i, freezable(i, i == second  ? impatient
                                      : i == third ? with_share
                                                   : patient)));
  }
  std::vector<std::byte> data(blocks * block_size);
  Countdown orphans{commands};
  for (std::size_t i = 0; i < luns; ++i) {
    send(*all[i], commands, data, i == second ? orphans.done() : nobody);
  }
  if (luns > second) {
    BALLAST_ASSERT(orphans.wait());
    // The repeated command may wait longer than the orphans did.
    BALLAST_ASSERT(all[second]->reconfigure_string(freezable(second, patient)) == 0);
    send(*all[second], 1, data);
  }
  wait_for_the_end();
}

// Reads from a LUN now and then: only a connection that is used tells that its server is gone.
class Prober {
 public:
  explicit Prober(Lun& lun) : lun_{lun} {}
  static gboolean probe(void* self) {
    auto& its = *static_cast<Prober*>(self);
    if (its.answered_.exchange(false)) {
      BALLAST_ASSERT(its.lun_.submit(read_16(0, blocks), Direction::from_device, its.data_,
                                     {&Prober::answered, self}));
    }
    return G_SOURCE_CONTINUE;
  }

 private:
  static void answered(void* self, const Answer&) { static_cast<Prober*>(self)->answered_ = true; }
  Lun& lun_;
  std::vector<std::byte> data_ = std::vector<std::byte>(blocks * block_size);
  std::atomic<bool> answered_{true};
};

int keep_stores(const std::vector<std::string>& servers) {
  if (!may_log()) {
    std::fputs("no O_DIRECT or no extended attributes in the working folder\n", stderr);
    return 77;
  }
  std::vector<std::unique_ptr<Lun>> all;
  all.push_back(add(0, freezable(0, patient) + with_log(0)));
  for (const std::string& server : servers) {
    all.push_back(add(all.size(), "nbd=" + server));
  }
  Lun& logged = *all.front();
  std::vector<std::byte> data(blocks * block_size);
  const auto write = [&](std::uint64_t count) {
    for (std::uint64_t i = 0; i < count; ++i) {
      BALLAST_ASSERT(
          logged.execute(write_16(i * blocks, blocks), Direction::to_device, data).status == 0);
    }
  };
  write(20);
  std::this_thread::sleep_for(3s);  // these come to the store
  std::ofstream{here("faults")} << "all freeze stubborn\n";
  std::this_thread::sleep_for(500ms);
  write(40);
  Prober prober{*all.back()};
  if (servers.size() > 1) {
    g_timeout_add(200, &Prober::probe, &prober);
  }
  wait_for_the_end();
}

int load(std::size_t luns) {
  std::vector<std::unique_ptr<Lun>> all;
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < luns; ++i) {
    all.push_back(add(i, configuration(i, i + 1 == luns && may_log() ? with_log(i) : "")));
    threads.emplace_back([lun = all.back().get(), i] {
      for (std::uint64_t round = 0;; ++round) {
        (void)random_load(*lun, 10000, 16, block_size, round * 100 + i);
      }
    });
  }
  std::puts("ready");
  std::fflush(stdout);
  for (std::thread& thread : threads) {
    thread.join();
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  load_built_plugin();
  if (argc == 4 && std::strcmp(argv[1], "frozen") == 0) {
    return freeze(std::strtoul(argv[2], nullptr, 10), std::strtoul(argv[3], nullptr, 10));
  }
  if (argc >= 2 && std::strcmp(argv[1], "stores") == 0) {
    return keep_stores({argv + 2, argv + argc});
  }
  if (argc == 3 && std::strcmp(argv[1], "load") == 0) {
    return load(std::strtoul(argv[2], nullptr, 10));
  }
  std::fputs("usage: core_host frozen LUNS COMMANDS | stores NBD… | load LUNS\n", stderr);
  return 2;
}
