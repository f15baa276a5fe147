// SPDX-License-Identifier: Apache-2.0
#include "targetcli-config/ballastctl/machine/program.h"

#include <glib.h>
#include <sys/wait.h>

namespace ballast::ctl {

// This does not use GSubprocess, which needs GLib's worker thread: that thread is missing if this
// process was made by fork() after GLib started it.
Ended run_program(const Files& files, const std::string& path, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(),
                   files.is_fake() ? files.real(path) : path.substr(path.rfind('/') + 1));
  std::vector<char*> words;
  for (std::string& argument : arguments) {
    words.push_back(argument.data());
  }
  words.push_back(nullptr);
  g_autofree gchar* out = nullptr;
  g_autofree gchar* err = nullptr;
  g_autoptr(GError) error = nullptr;
  gint status = 0;
  if (g_spawn_sync(nullptr, words.data(), nullptr, G_SPAWN_SEARCH_PATH, nullptr, nullptr, &out,
                   &err, &status, &error) == FALSE) {
    return {Ended::not_started, error->message};
  }
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 128, std::string{out} + err};
}

}  // namespace ballast::ctl
