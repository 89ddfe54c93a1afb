/* Eclipse Paho's C client against the hub: every QoS, retained messages, a will. Prints OK, or ends with 1.
   Arguments: URL, MQTT version (4 or 5), file with the authority, prefix of topics and client ids. */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "MQTTClient.h"

#define COUNT 20
#define PATIENCE_MS 15000

static const char *url, *authority, *prefix;
static int version;

#define CHECK(condition) \
    do { \
        if (!(condition)) { \
            fprintf(stderr, "%s %d, line %d: %s\n", url, version, __LINE__, #condition); \
            exit(1); \
        } \
    } while (0)

static char *name(char *text, size_t size, const char *rest)
{
    snprintf(text, size, "%s/%s", prefix, rest);
    return text;
}

static MQTTClient open_client(const char *rest, const char *will_topic)
{
    MQTTClient client;
    MQTTClient_createOptions create = MQTTClient_createOptions_initializer;
    MQTTClient_SSLOptions ssl = MQTTClient_SSLOptions_initializer;
    MQTTClient_willOptions will = MQTTClient_willOptions_initializer;
    MQTTClient_connectOptions v4 = MQTTClient_connectOptions_initializer;
    MQTTClient_connectOptions v5 = MQTTClient_connectOptions_initializer5;
    MQTTClient_connectOptions options = version == 5 ? v5 : v4;
    char id[100];

    create.MQTTVersion = version;
    options.MQTTVersion = version;
    options.keepAliveInterval = 20;
    options.connectTimeout = PATIENCE_MS / 1000;
    ssl.trustStore = authority;
    ssl.enableServerCertAuth = 1;
    ssl.verify = 1;
    options.ssl = &ssl;
    if (will_topic) {
        will.topicName = will_topic;
        will.message = "gone";
        will.qos = 1;
        options.will = &will;
    }
    CHECK(!MQTTClient_createWithOptions(&client, url, name(id, sizeof id, rest), MQTTCLIENT_PERSISTENCE_NONE, NULL,
                                        &create));
    if (version == 5) {
        MQTTResponse response = MQTTClient_connect5(client, &options, NULL, NULL);
        CHECK(response.reasonCode == MQTTREASONCODE_SUCCESS);
        MQTTResponse_free(response);
    } else {
        CHECK(!MQTTClient_connect(client, &options));
    }
    return client;
}

static void close_client(MQTTClient client)
{
    if (version == 5)
        CHECK(!MQTTClient_disconnect5(client, PATIENCE_MS, MQTTREASONCODE_SUCCESS, NULL));
    else
        CHECK(!MQTTClient_disconnect(client, PATIENCE_MS));
    MQTTClient_destroy(&client);
}

static void subscribe(MQTTClient client, const char *filter, int qos)
{
    if (version == 5) {
        MQTTResponse response = MQTTClient_subscribe5(client, filter, qos, NULL, NULL);
        CHECK((int)response.reasonCode == qos);
        MQTTResponse_free(response);
    } else {
        CHECK(!MQTTClient_subscribe(client, filter, qos));
    }
}

static void publish(MQTTClient client, const char *topic, const char *text, int qos, int retained)
{
    MQTTClient_deliveryToken token;
    if (version == 5) {
        MQTTResponse response =
            MQTTClient_publish5(client, topic, (int)strlen(text), text, qos, retained, NULL, &token);
        CHECK(response.reasonCode == MQTTREASONCODE_SUCCESS);
        MQTTResponse_free(response);
    } else {
        CHECK(!MQTTClient_publish(client, topic, (int)strlen(text), text, qos, retained, &token));
    }
    if (qos > 0)
        CHECK(!MQTTClient_waitForCompletion(client, token, PATIENCE_MS));
}

static void expect(MQTTClient client, const char *topic, const char *text, int qos, int retained)
{
    char *found = NULL;
    int length;
    MQTTClient_message *message = NULL;
    CHECK(!MQTTClient_receive(client, &found, &length, &message, PATIENCE_MS) && message);
    CHECK(!strcmp(found, topic));
    CHECK(message->payloadlen == (int)strlen(text) && !memcmp(message->payload, text, strlen(text)));
    CHECK(message->qos == qos && message->retained == retained);
    MQTTClient_freeMessage(&message);
    MQTTClient_free(found);
}

static void every_qos(void)
{
    char filter[100], topic[100], text[20];
    for (int qos = 0; qos <= 2; qos++) {
        MQTTClient client = open_client("both", NULL);
        subscribe(client, name(filter, sizeof filter, "n/+"), qos);
        for (int number = 0; number < COUNT; number++) {
            snprintf(text, sizeof text, "%d", number);
            publish(client, name(topic, sizeof topic, "n/ä"), text, qos, 0);
            expect(client, topic, text, qos, 0);
        }
        close_client(client);
    }
}

static void retained(void)
{
    char topic[100];
    name(topic, sizeof topic, "last");
    MQTTClient publisher = open_client("publisher", NULL);
    publish(publisher, topic, "value", 1, 1);
    MQTTClient subscriber = open_client("subscriber", NULL);
    subscribe(subscriber, topic, 1);
    expect(subscriber, topic, "value", 1, 1);
    publish(publisher, topic, "", 1, 1);
    expect(subscriber, topic, "", 1, 0);
    close_client(subscriber);
    close_client(publisher);
}

/* The mortal one is a process that is killed, so nobody says DISCONNECT for it. */
static void last_will(void)
{
    char topic[100], go;
    int pipe_ends[2];
    name(topic, sizeof topic, "will");
    CHECK(!pipe(pipe_ends));
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        close(pipe_ends[1]);
        if (read(pipe_ends[0], &go, 1) == 1)
            open_client("mortal", topic);
        raise(SIGKILL);
    }
    MQTTClient watcher = open_client("watcher", NULL);
    subscribe(watcher, topic, 1);
    CHECK(write(pipe_ends[1], "!", 1) == 1);
    expect(watcher, topic, "gone", 1, 0);
    CHECK(waitpid(child, NULL, 0) == child);
    close_client(watcher);
}

int main(int count, char **arguments)
{
    MQTTClient_init_options init = MQTTClient_init_options_initializer;
    if (count != 5)
        return 2;
    init.do_openssl_init = 1;
    MQTTClient_global_init(&init);
    url = arguments[1];
    version = atoi(arguments[2]);
    authority = arguments[3];
    prefix = arguments[4];
    every_qos();
    retained();
    last_will();
    puts("OK");
    return 0;
}
